"""Every golden case, from its meta file alone: the folders, and the tables of counts beside them."""

import pytest

from tests.golden.cases import GOLDEN, GoldenCase, found
from tests.golden.counts import check_table
from tests.golden.systems import check, system_of

FOLDERS, TABLES = found(*GOLDEN), found(*GOLDEN, tables=True)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_library_computes_what_is_recorded(name):
    case = GoldenCase(FOLDERS[name])
    problems = check(case, system_of(case))
    assert not problems, "\n".join([f"{name}:", *problems])


@pytest.mark.parametrize("name", TABLES)
def test_the_named_models_have_the_counts_of_the_references(name):
    problems = check_table(TABLES[name])
    assert not problems, "\n".join([f"{name}:", *problems])
