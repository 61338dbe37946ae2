"""The lake's base as tables of Athena, for questions that are larger than a function: all members, years of entries.

A base lies in a folder of its own every night. So the tables do not name its files but a list of them, which every
rebase writes anew (`SymlinkTextInputFormat`). They say what was so at night: what patches have since is not in them.
"""

import re

from chalicelib.lake.rules import LISTS
from chalicelib.lake.tables import TABLES
from local.deploy.intrinsics import Json, imported, ref, sub

_PLAIN = {
    "VARCHAR": "string", "BIGINT": "bigint", "INTEGER": "int", "UINTEGER": "int", "SMALLINT": "smallint",
    "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "timestamp",
}  # fmt: skip


def resources() -> Json:
    """A database, and a table for each of the lake's."""
    made: Json = {
        "LakeDatabase": {
            "Type": "AWS::Glue::Database",
            "Properties": {
                "CatalogId": ref("AWS::AccountId"),
                "DatabaseInput": {"Name": sub("${Stack}-lake"), "Description": "What the lake has, as of last night"},
            },
        }
    }
    for table, columns in TABLES.items():
        made[f"Lake{table.capitalize()}Table"] = {
            "Type": "AWS::Glue::Table",
            "Properties": {
                "CatalogId": ref("AWS::AccountId"),
                "DatabaseName": ref("LakeDatabase"),
                "TableInput": {
                    "Name": table,
                    "TableType": "EXTERNAL_TABLE",
                    "StorageDescriptor": {
                        "Columns": [{"Name": name, "Type": hive(kind)} for name, kind in columns.items()],
                        "Location": {
                            "Fn::Sub": [f"s3://${{Bucket}}/{LISTS}/{table}/", {"Bucket": imported("ArchiveBucketName")}]
                        },
                        "InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
                        "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                        "SerdeInfo": {
                            "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                        },
                    },
                },
            },
        }
    return made


def hive(kind: str) -> str:
    """A type of the lake's, as Athena spells it."""
    if kind.endswith("[]"):
        return f"array<{hive(kind.removesuffix('[]'))}>"
    if kind.startswith("STRUCT("):
        fields = re.findall(r'"?(\w+)"? ([A-Z]+)', kind.removeprefix("STRUCT"))
        return "struct<" + ",".join(f"{name}:{hive(each)}" for name, each in fields) + ">"
    return _PLAIN[kind]
