import pytest

from srtrain.data.embedded import embedded
from srtrain.data.store import Pictures
from srtrain.errors import DataError


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_four_pictures_are_in_the_package(scale):
    pictures = Pictures(embedded(scale) + embedded(scale, names=("chelsea",)), scale)
    assert [pictures.name(i) for i in range(4)] == ["astronaut", "coffee", "rocket", "chelsea"]
    for i in range(4):
        height, width = pictures.lq(i).shape[:2]
        assert pictures.gt(i).shape == (height * scale, width * scale, 3)


def test_the_licences_name_each_picture():
    home = embedded(2)[0].gt.parent
    text = (home / "LICENSES.md").read_text()
    pictures = [path.name for path in home.iterdir() if path.suffix != ".md"]
    assert len(pictures) == 4
    assert all(name in text for name in pictures)


@pytest.mark.parametrize("names", [(), "chelsea"])
def test_names_are_a_list(names):
    with pytest.raises(DataError, match="must be a list of names"):
        embedded(2, names=names)


def test_unknown_name():
    with pytest.raises(DataError, match=r"no embedded picture 'chelsey'\. Did you mean 'chelsea'\?"):
        embedded(2, names=("chelsey",))
