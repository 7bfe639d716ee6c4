"""One piece of the flows benchmark with another engine: peers.py ENGINE WORK FILE [GROUPS] [OUT]."""

import sys

engine, work, file = sys.argv[1:4]
rest = sys.argv[4:]
NAMES = "version account interface src dst sport dport protocol packets bytes start end action status".split()
NUMBERS = {"version", "sport", "dport", "protocol", "packets", "bytes", "start", "end"}
REJECTED = "SELECT dport, protocol, count(*) AS n, sum(packets) AS p, min(start) AS f, max(start) AS l FROM {} WHERE action = 'REJECT' GROUP BY dport, protocol ORDER BY n DESC LIMIT 20"
DISTINCT = "SELECT src, count(DISTINCT dst) AS n FROM {} WHERE src IS NOT NULL GROUP BY src ORDER BY n DESC LIMIT 20"
FAN_OUT = "SELECT src, date_trunc('minute', start) AS m, count(DISTINCT dst) AS n FROM {} WHERE src IS NOT NULL GROUP BY src, m ORDER BY n DESC LIMIT 20"
JOIN = "SELECT g.name, count(*) AS n, sum(f.bytes) AS b FROM {} AS f JOIN {} AS g ON f.interface = g.interface GROUP BY g.name ORDER BY b DESC"


def duckdb_run():
    import duckdb

    def column(name):
        return f"'{name}': '{'BIGINT' if name in NUMBERS else 'VARCHAR'}'"

    types = "{" + ", ".join(column(name) for name in NAMES) + "}"
    text = f"read_csv('{file}', delim=' ', header=false, skip=1, nullstr='-', columns={types})"
    columns = f"read_parquet('{file}')"
    duckdb.sql("SET TimeZone = 'UTC'")
    if work in ("text", "text-gz"):
        print(duckdb.sql(REJECTED.format(text)).fetchall()[:3])
    elif work == "import":
        duckdb.sql(
            f"COPY (SELECT * FROM {text} ORDER BY start // 3600, src, dst, start) TO '{rest[0]}' (FORMAT parquet, COMPRESSION zstd)"
        )
    elif work == "join":
        print(duckdb.sql(JOIN.format(columns, f"read_csv('{rest[0]}')")).fetchall()[:3])
    else:
        print(duckdb.sql((DISTINCT if work == "distinct" else FAN_OUT).format(columns)).fetchall()[:3])


def polars_run():
    import polars as pl

    def text():
        schema = {name: pl.Int64 if name in NUMBERS else pl.String for name in NAMES}
        return pl.scan_csv(file, separator=" ", has_header=False, skip_rows=1, null_values="-", schema=schema)

    def end(frame):
        print(frame.collect(engine="streaming").head(3))

    if work in ("text", "text-gz"):
        found = text().filter(pl.col("action") == "REJECT").group_by("dport", "protocol")
        end(found.agg(pl.len().alias("n"), pl.col("packets").sum(), pl.col("start").min().alias("f"), pl.col("start").max().alias("l")).sort("n", descending=True).head(20))
        return
    if work == "import":
        hour = pl.col("start") // 3600
        text().sort(hour, "src", "dst", "start").sink_parquet(rest[0], compression="zstd")
        return
    flows = pl.scan_parquet(file)
    if work == "join":
        groups = pl.scan_csv(rest[0])
        joined = flows.with_columns(pl.col("interface").cast(pl.String)).join(groups, on="interface").group_by("name")
        end(joined.agg(pl.len().alias("n"), pl.col("bytes").sum()).sort("bytes", descending=True))
        return
    flows = flows.filter(pl.col("src").is_not_null())
    keys = [pl.col("src")]
    if work == "fan-out":
        keys.append(pl.col("start").dt.truncate("1m").alias("m"))
    end(flows.group_by(keys).agg(pl.col("dst").n_unique().alias("n")).sort("n", descending=True).head(20))


def chdb_run():
    import chdb

    types = ", ".join(f"{name} Nullable({'Int64' if name in NUMBERS else 'String'})" for name in NAMES)
    settings = "SETTINGS format_custom_field_delimiter = ' ', format_custom_escaping_rule = 'CSV', format_csv_null_representation = '-', input_format_with_names_use_header = 0"
    text = f"file('{file}', 'CustomSeparatedWithNames', '{types}')"
    columns = f"file('{file}', 'Parquet')"

    def ask(query):
        return print(str(chdb.query(query))[:200])

    if work in ("text", "text-gz"):
        ask(f"{REJECTED.format(text)} {settings}")
    elif work == "import":
        ask(
            f"INSERT INTO FUNCTION file('{rest[0]}', 'Parquet') SELECT * FROM {text} ORDER BY intDiv(start, 3600), src, dst, start {settings}, output_format_parquet_compression_method = 'zstd'"
        )
    elif work == "join":
        ask(JOIN.format(columns, f"file('{rest[0]}', 'CSVWithNames')"))
    else:
        ask((DISTINCT if work == "distinct" else FAN_OUT).format(columns))


{"duckdb": duckdb_run, "polars": polars_run, "chdb": chdb_run}[engine]()
