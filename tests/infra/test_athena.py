"""The lake's tables, as Athena is told of them."""

from chalicelib.lake.tables import TABLES
from local.deploy import athena
from local.deploy.template import app_template


def test_every_table_of_the_lake_is_one_of_athenas() -> None:
    tables = {
        each["Properties"]["TableInput"]["Name"]: each["Properties"]["TableInput"]["StorageDescriptor"]
        for each in app_template()["Resources"].values()
        if each["Type"] == "AWS::Glue::Table"
    }
    assert tables.keys() == TABLES.keys()
    for name, says in tables.items():
        assert [column["Name"] for column in says["Columns"]] == list(TABLES[name])
        assert says["Location"]["Fn::Sub"][0] == f"s3://${{Bucket}}/lake/athena/{name}/"


def test_types_are_spelt_as_athena_spells_them() -> None:
    assert athena.hive("VARCHAR[]") == "array<string>"
    assert athena.hive("STRUCT(d DATE, p BIGINT)[]") == "array<struct<d:date,p:bigint>>"
    assert athena.hive("UINTEGER") == "int"
