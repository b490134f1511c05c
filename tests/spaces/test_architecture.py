"""Architecture spaces: what they offer, decode and locate."""

import json

import numpy as np
import pytest

from nars.costs.statistics import costs
from nars.errors import UserError
from nars.files import content_key
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import Architecture, ArchitectureSpace
from nars.spaces.table import BLOCK_KEYS, table_number


def edited(values: dict, path: str, value) -> dict:
    """A copy of plain containers with one entry replaced; `path` like `stages.1.width`."""
    values = json.loads(json.dumps(values))
    *parents, last = path.split(".")
    place = values
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[int(last) if last.isdigit() else last] = value
    return values


def test_fbnetv3_has_the_published_number_of_architectures(fbnetv3):
    """1.76e17 without resolution, 7 resolutions, from the published table."""
    kernels, expansions = 2**7, (4 * 4) ** 3 * 4
    widths, depths = 5 * (5 * 4 * 7 * 8 * 13 * 12 * 12), 4 * 4 * 4 * 5 * 5 * 5
    assert fbnetv3.cardinality == kernels * expansions * widths * depths * 7
    assert f"{fbnetv3.cardinality / 7:.2e}" == "1.76e+17"


def test_tiny_has_every_combination(tiny):
    assert tiny.cardinality == 3 * 2 * (4 * 3 * 2 * 2 * 3 * 2) * (4 * 2 * 2 * 3)


def test_a_fixed_value_makes_no_dimension(fbnetv3):
    names = {dimension.name for dimension in fbnetv3.dimensions}
    assert "stage7/kernel" in names
    assert not {"stage7/depth", "stage7/expansion", "stage1/expansion"} & names
    assert len(names) == 28 + 1  # the 28 genes of the published encoding, and resolution


@pytest.mark.parametrize("seed", range(5))
def test_decode_and_locate_are_inverses(architecture_space, seed):
    for point in architecture_space.sample(60, seed):
        decoded = architecture_space.decode(point)
        through_json = json.loads(json.dumps(decoded))
        assert through_json == decoded
        located = architecture_space.locate(through_json)
        assert located.dtype == np.int16
        np.testing.assert_array_equal(located, point)
        assert Architecture.from_dict(decoded).to_dict() == decoded
        assert Architecture.from_dict(decoded) == architecture_space.architecture(point)


def test_different_points_are_different_architectures(architecture_space):
    points = np.unique(architecture_space.sample(500, 1), axis=0)
    assert len({json.dumps(architecture_space.decode(point)) for point in points}) == len(points)


# Digests of what answers, encoders and records were keyed by before stages could be given block by block.
KEYS = {
    "fbnetv3": ("ee1e97bdf2850716", "5404da4d6b603154", "0b8d94939a90deb5", "e3d62bd12fa38e34"),
    "tiny": ("282d4ca87b3664b2", "e345190443545b94", "02368f72db4f5107", "8a538446666c03dd"),
}
CANDIDATE_KEYS = {
    "fbnetv3_a": "0690380f251e1017",
    "fbnetv3_a0": "6fdec2b4dd2663ac",
    "fbnetv3_b": "1e2bd3f79b9c0d07",
    "fbnetv3_c": "8b6d307370b3addb",
    "fbnetv3_d": "3abc6f0f63870f0e",
    "fbnetv3_e": "073bc0d5cab0ca3b",
    "fbnetv3_f": "9bd0b84b347522e2",
    "fbnetv3_g": "f51ec25ec84a824e",
}


def test_earlier_answers_encoders_and_records_keep_their_keys_and_numbers(architecture_space):
    points = architecture_space.sample(200, 0)
    names = ("macs", "params", "weights", "released_macs", "activations")
    content = (
        architecture_space.settings.model_dump(mode="json"),  # answers are found by it
        architecture_space.specification,
        [architecture_space.decode(point) for point in points],
        costs(architecture_space, points, names).tolist(),
    )
    assert tuple(map(content_key, content)) == KEYS[architecture_space.name]


@pytest.mark.parametrize("name", CANDIDATE_KEYS)
def test_released_architectures_keep_their_keys(conf, name):
    architecture = Architecture.from_dict(conf("candidates", name)["architecture"])
    assert content_key(architecture.to_dict()) == CANDIDATE_KEYS[name]


def test_decoded_architectures_hold_the_chosen_values(architecture_space):
    for point in architecture_space.sample(100, 7):
        decoded, values = architecture_space.decode(point), architecture_space.values(point)
        for name, value in values.items():
            if "/" not in name:
                assert decoded[name] == value
                continue
            stage, key = name.split("/")
            keys = (key,) if key in decoded["stages"][0] else (f"{key}_first", f"{key}_rest")
            assert [decoded["stages"][int(stage[5:]) - 1][k] for k in keys] == [value] * len(keys)


def test_stages_4_and_5_share_their_expansions(fbnetv3):
    stages = [fbnetv3.decode(point)["stages"] for point in fbnetv3.sample(200, 0)]
    for _, _, _, fourth, fifth, _, _ in stages:
        assert fourth["expansion_first"] == fifth["expansion_first"]
        assert fourth["expansion_rest"] == fifth["expansion_rest"]
    assert {s[3]["expansion_first"] for s in stages} == {4, 5, 6, 7}
    assert {s[3]["expansion_rest"] for s in stages} == {2, 3, 4, 5}


def test_widths_that_are_no_multiples_of_8_are_offered(fbnetv3, tiny):
    second = {fbnetv3.decode(point)["stages"][1]["width"] for point in fbnetv3.sample(200, 0)}
    assert second == {20, 24, 28, 32}
    assert {fbnetv3.decode(point)["stem_width"] for point in fbnetv3.sample(200, 0)} == {16, 18, 20, 22, 24}
    assert {tiny.decode(point)["stages"][2]["width"] for point in tiny.sample(200, 0)} == {16, 20, 24, 28}


def check_table(space: ArchitectureSpace, points: np.ndarray) -> None:
    """The runs of each row, as often as they count, are the blocks of its architecture."""
    table = space.table(points)
    for i, point in enumerate(points):
        architecture = space.architecture(point)
        shown = []
        for run in table.runs:
            rows = {key: np.broadcast_to(getattr(run, key), len(points))[i] for key in ("count", *BLOCK_KEYS)}
            shown += [[rows[key] for key in BLOCK_KEYS]] * int(rows["count"])
        blocks = [block for stage in architecture.stages for block in stage.blocks]
        assert shown == [[table_number(key, getattr(block, key)) for key in BLOCK_KEYS] for block in blocks]
        assert np.broadcast_to(table.resolution, len(points))[i] == architecture.resolution
        assert np.broadcast_to(table.stem_width, len(points))[i] == architecture.stem_width
        assert table.head == architecture.head
        row = architecture.table
        assert [np.broadcast_to(sides, len(points))[i] for sides in (table.sides[0], table.sides[-1])] == [
            row.sides[0],
            row.sides[-1],
        ]


def test_tables_hold_the_architectures(architecture_space):
    check_table(architecture_space, architecture_space.sample(64, 3))


@pytest.mark.parametrize("seed", range(10))
def test_tables_hold_the_architectures_of_blocks(random_block_space, seed):
    space = random_block_space(seed)
    check_table(space, space.sample(20, seed))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("resolution", 225, "space fbnetv3: resolution: 225 is not offered; allowed: 224, 232"),
        ("stages.1.width", 22, "space fbnetv3: stage2/width: 22 is not offered; allowed: 20, 24, 28, 32"),
        ("stages.0.stride", 2, "space fbnetv3 cannot express stage1/stride = 2: it would be 1"),
        ("stages.2.se", False, "space fbnetv3 cannot express stage3/se = False: it would be True"),
        ("stages.6.depth", 2, "space fbnetv3 cannot express stage7/depth = 2: it would be 1"),
        ("stages.3.first_padding", 1, "space fbnetv3 cannot express stage4/first_padding = 1: it would be None"),
        ("head.width", 1280, "space fbnetv3 cannot express head/width = 1280: it would be 1984"),
    ],
)
def test_what_a_space_cannot_express_is_named(fbnetv3, path, value, message):
    decoded = edited(fbnetv3.decode(fbnetv3.sample(1, 0)[0]), path, value)
    with pytest.raises(UserError) as error:
        fbnetv3.locate(decoded)
    assert str(error.value).startswith(message)


def test_a_shared_choice_that_is_not_shared_is_named(fbnetv3):
    decoded = fbnetv3.decode(np.zeros(len(fbnetv3), dtype=np.int16))
    with pytest.raises(UserError, match="cannot express stage5/expansion_rest = 3: it would be 2"):
        fbnetv3.locate(edited(decoded, "stages.4.expansion_rest", 3))
    with pytest.raises(UserError, match="cannot express stage1/kernel_rest = 5: it would be 3"):
        fbnetv3.locate(edited(decoded, "stages.0.kernel_rest", 5))


def test_an_architecture_of_other_stages_is_refused(fbnetv3, tiny):
    with pytest.raises(UserError, match="space fbnetv3 has 7 stages, given 3"):
        fbnetv3.locate(tiny.decode(tiny.sample(1, 0)[0]))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("stages.2.width", {"same_as": "stage9"}, "stage3/width: no earlier stage has stage9/width"),
        ("stages.1.width", {"same_as": "stage3"}, "stage2/width: no earlier stage has stage3/width"),
        ("stages.2.expansion", {"same_as": "stage2"}, "stage3/expansion: no earlier stage has stage2/expansion"),
        ("resolution", {"same_as": "stage1"}, "resolution: no earlier stage has stage1/resolution"),
        ("stages.1.width", [8, 0], "stage2/width: 0 is not a positive whole number"),
        ("stages.1.width", [8, 12.5], "stage2/width: 12.5 is not a positive whole number"),
        ("stages.1.depth", True, "stage2/depth: True is not a positive whole number"),
        ("stages.1.depth", "two", "stage2/depth: 'two' is not a positive whole number"),
        ("stages.1.width", [12, 8], "stage2/width: numbers must be in rising order, given [12, 8]"),
        ("stages.1.width", [*range(8, 32_776)], "stage2/width: 32,768 choices; a dimension has at most 32,767"),
        ("stages.1.width", [8, 8], "stage2/width: choices repeat: [8, 8]"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(conf, path, value, message):
    values = edited(conf("search_space", "tiny"), path, value)
    with pytest.raises(UserError) as error:
        ArchitectureSpace(parse(ArchitectureSpaceSettings, values))
    assert message in str(error.value)


def test_any_key_can_be_shared(conf):
    values = edited(conf("search_space", "tiny"), "stages.2.width", {"same_as": "stage2"})
    space = ArchitectureSpace(parse(ArchitectureSpaceSettings, values))
    stages = [space.decode(point)["stages"] for point in space.sample(100, 0)]
    assert all(s[1]["width"] == s[2]["width"] for s in stages)
    assert {s[1]["width"] for s in stages} == {8, 12, 16, 20}


def test_spaces_that_share_a_key_with_another_stage_are_told_apart(conf):
    """Their dimensions are the same, their networks are not: what was learnt in one says nothing of the other."""
    values = conf("search_space", "fbnetv3")
    other = edited(values, "stages.4.expansion_first", {"same_as": "stage3"})
    spaces = [ArchitectureSpace(parse(ArchitectureSpaceSettings, v)) for v in (values, other)]
    assert [d.name for d in spaces[0].dimensions] == [d.name for d in spaces[1].dimensions]
    assert spaces[0].specification != spaces[1].specification


def test_a_padding_that_a_skip_cannot_pass_is_refused(conf):
    values = conf("candidates", "fbnetv3_b")["architecture"]
    stages = [dict(stage) for stage in values["stages"]]
    stages[0] |= {"width": values["stem_width"], "first_padding": 0}  # stride 1, as many channels out as in
    with pytest.raises(UserError, match=r"stage1: first_padding 0 changes the side of the map"):
        Architecture.from_dict(values | {"stages": stages})
    stages[0]["first_padding"] = 1  # kernel 3: what it would be anyway
    assert Architecture.from_dict(values | {"stages": stages}).stages[0].first_padding == 1
    stages[0] |= {"width": 24, "first_padding": 0}  # no skip
    assert Architecture.from_dict(values | {"stages": stages}).stages[0].first_padding == 0
