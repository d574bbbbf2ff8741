"""The metadata of MindIR, compared with how MindSpore reads the same bytes."""

import json

import pytest
from mindspore.train.mind_ir_pb2 import ModelProto

from srtrain.engines.mindir_file import read_metadata
from srtrain.errors import CheckpointError


def test_it_reads_what_mindspore_reads(exported):
    file = exported / "net.mindir"
    proto = ModelProto()
    proto.ParseFromString(file.read_bytes())
    assert read_metadata(file) == json.loads(proto.user_info["srtrain"])
    assert proto.producer_name == "srtrain"


def test_every_kind_of_field_is_passed_over(tmp_path):
    proto = ModelProto(ir_version="1", producer_name="x" * 300, model_version="2" * 20000, little_endian=True)
    proto.user_info["other"] = "y" * 200
    proto.user_info["srtrain"] = '{"scale": 3, "name": "ä"}'
    (tmp_path / "x.mindir").write_bytes(proto.SerializeToString())
    assert read_metadata(tmp_path / "x.mindir") == {"scale": 3, "name": "ä"}


def test_the_files_of_others_have_none(tmp_path):
    (tmp_path / "x.mindir").write_bytes(ModelProto(producer_name="somebody").SerializeToString())
    assert read_metadata(tmp_path / "x.mindir") == {}


@pytest.mark.parametrize("data", [b"PK\x03\x04 a zip file", b"\xff" * 40, b"\x0a\x7fcut short"])
def test_what_is_no_mindir_is_refused(tmp_path, data):
    (tmp_path / "x.mindir").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"x\.mindir' is not a MindIR file, or it is damaged"):
        read_metadata(tmp_path / "x.mindir")
