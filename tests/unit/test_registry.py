"""A registry refuses unknown names, says where a duplicate is, and checks arguments before it builds."""

import pytest

from srtrain.errors import RecipeError, UnknownNameError
from srtrain.registry import Registry, check_arguments, parameters_of, place_of, snake_case


@pytest.fixture
def animals():
    registry = Registry("animal", __name__)

    @registry.register
    class HouseCat:
        def __init__(self, lives, colour="grey"):
            self.lives = lives
            self.colour = colour

    @registry.register("dog")
    def make_dog(name="Rex"):
        return name

    return registry


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("EDSR", "edsr"),
        ("MilestoneLr", "milestone_lr"),
        ("HTTPServer", "http_server"),
        ("L1", "l1"),
        ("embedded", "embedded"),
        ("Conv2dBlock", "conv2d_block"),
    ],
)
def test_snake_case(name, snake):
    assert snake_case(name) == snake


def test_a_class_is_registered_under_its_snake_case_and_returned_unchanged(animals):
    cat = animals.get("house_cat")
    assert cat.__name__ == "HouseCat"
    assert "house_cat" in animals
    assert "HouseCat" not in animals


def test_get_never_builds_and_build_does(animals):
    assert callable(animals.get("dog"))
    assert animals.build("dog") == "Rex"
    cat = animals.build("house_cat", lives=9)
    assert (cat.lives, cat.colour) == (9, "grey")


def test_an_argument_may_be_called_name(animals):
    assert animals.build("dog", name="Fido") == "Fido"


def test_names_match_a_shell_pattern_and_are_sorted(animals):
    assert animals.names() == ["dog", "house_cat"]
    assert animals.names("d*") == ["dog"]
    assert animals.names("x*") == []


def test_a_duplicate_names_both_places(animals):
    first = animals.get("dog")

    def second():
        """Never built."""

    with pytest.raises(UnknownNameError) as caught:
        animals.register("dog")(second)
    assert str(caught.value) == (
        f"the animal 'dog' is registered twice: first by {place_of(first)}, now by {place_of(second)}. "
        "Rename one, or write register('dog', replace=True)."
    )
    assert place_of(first).startswith(__file__ + ":")
    assert place_of(first) != place_of(second)
    assert animals.get("dog") is first


def test_replace_consents(animals):
    def other():
        return "Wolf"

    animals.register("dog", replace=True)(other)
    assert animals.build("dog") == "Wolf"


def test_registering_the_same_object_again_is_no_duplicate(animals):
    dog = animals.get("dog")
    assert animals.register("dog")(dog) is dog


def test_an_unknown_name_lists_suggests_and_mentions_plugins(animals):
    with pytest.raises(UnknownNameError) as caught:
        animals.get("hose_cat")
    assert str(caught.value) == (
        "there is no animal named 'hose_cat'. Did you mean 'house_cat'? Registered: dog, house_cat. If a "
        "plugin supplies it, name that plugin in the recipe (plugins=(…,)) or with --plugin."
    )
    with pytest.raises(LookupError, match=r"named 'zebra'\. Registered: dog, house_cat\."):
        animals.build("zebra")


def test_an_unknown_argument_is_refused_with_a_suggestion(animals):
    with pytest.raises(RecipeError) as caught:
        animals.build("house_cat", lives=9, color="red")
    assert str(caught.value) == (
        "animal 'house_cat' takes no argument 'color'. Did you mean 'colour'? It takes: colour, lives."
    )


def test_a_missing_argument_is_named(animals):
    with pytest.raises(RecipeError, match=r"^animal 'house_cat' needs the argument lives, which the recipe"):
        animals.build("house_cat")


def test_a_target_with_open_keywords_takes_any():
    def target(a, **others):
        """Never called."""

    check_arguments("thing", target, {"a": 1, "b": 2})
    assert list(parameters_of(target)) == ["a"]
    with pytest.raises(RecipeError, match="needs the argument"):
        check_arguments("thing", target, {"b": 2})


def test_what_has_no_source_is_placed_by_its_name():
    registry = Registry("thing", "srtrain.errors")
    registry.register("length")(len)
    with pytest.raises(UnknownNameError, match=r"first by builtins\.len, now by .*test_registry\.py:\d+\."):
        registry.register("length")(snake_case_caller)


def snake_case_caller():
    """Something with source."""
