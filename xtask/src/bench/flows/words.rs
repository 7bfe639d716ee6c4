//! The words of the page.

pub struct Words {
    pub title: &'static str,
    pub intro: &'static str,
    pub rounds: &'static str,
    pub data: &'static str,
    pub beside: &'static str,
    pub head: &'static str,
    pub works: [&'static str; 7],
    pub reached: &'static str,
    pub missed: &'static str,
    pub unmeasured: &'static str,
    pub sum: &'static str,
    pub pace: &'static str,
    pub how: &'static str,
    pub notes: &'static str,
}

pub const ENGLISH: Words = Words {
    title: "Benchmark: netwhy flows on one day of flow logs",
    intro: "Written by `cargo xtask bench flows`; do not edit. Everything was measured in one run. Times are processor \
            time of the whole process, user and system; memory is its most.",
    rounds: "Rounds: {n}; each time is the median of them.",
    data: "One day of AWS v2 records: {rows} records, {text} MB of text, {gz} MB packed.",
    beside: "Beside it",
    head: "| work | goal | at this machine's pace | netwhy | DuckDB | polars | chdb | |\n|---|---|---|---|---|---|---|---|",
    works: [
        "one question over text: rejected by port",
        "the same over text.gz",
        "text.gz to sorted Parquet",
        "distinct destinations per source (Parquet)",
        "fan-out per source and minute (Parquet)",
        "join with 40 security groups (Parquet)",
        "all detectors, one pass over the text",
    ],
    reached: "reached",
    missed: "**missed**",
    unmeasured: "–",
    sum: "{reached} of {all} goals are reached.",
    pace: "They were set on a machine on which the other engines took less: here their times are {pace} times those \
           (the median of all they did), which is what the third column counts with.",
    how: "How",
    notes: "Every piece of work is a process of its own. The questions over Parquet are asked of the same files by \
            all: those that `netwhy flows import` wrote, with addresses as 32-bit numbers, which helps the others as \
            well. The other engines read the text with the types of the columns given; of lines that are not \
            rejected netwhy reads no more than tells so. netwhy's import also hashes its input, so that nothing is \
            imported twice, keeps file and offset of each record, and syncs its files. Where the others still win: \
            DuckDB counts distinct receivers and joins in less memory, and all of them write smaller files, since \
            the place of each record is a quarter of ours.",
};

pub const CHINESE: Words = Words {
    title: "基准：netwhy flows 处理一天的流日志",
    intro: "由 `cargo xtask bench flows` 写出，请勿手改。全部数据出自同一次运行。时间为整个进程的处理器时间（用户态加内核态），\
            内存为其峰值。",
    rounds: "轮数：{n}；每个时间取中位数。",
    data: "一天的 AWS v2 记录：{rows} 条，文本 {text} MB，压缩后 {gz} MB。",
    beside: "对比",
    head: "| 工作 | 目标 | 折合本机速度 | netwhy | DuckDB | polars | chdb | |\n|---|---|---|---|---|---|---|---|",
    works: [
        "对文本提一个问题：按端口统计被拒绝的流",
        "同上，对 text.gz",
        "text.gz 转为有序 Parquet",
        "每个来源的不同目的数（Parquet）",
        "每个来源每分钟的扇出（Parquet）",
        "与 40 个安全组连接（Parquet）",
        "全部检测器，一遍读完文本",
    ],
    reached: "达到",
    missed: "**未达到**",
    unmeasured: "–",
    sum: "{all} 个目标中达到 {reached} 个。",
    pace: "目标是在另一台机器上定下的，其他引擎在那里用时更短：在本机它们的用时为其 {pace} 倍（取全部工作的中位数），第三列即据此折算。",
    how: "方法",
    notes: "每项工作是一个单独的进程。对 Parquet 的问题，各引擎查询的是同一批文件：由 `netwhy flows import` 写出，地址为 32 位整数，\
            这同样有利于其他引擎。其他引擎读取文本时已给定各列类型；对未被拒绝的行，netwhy 只读到足以判断为止。netwhy 的导入还会对输入做哈希以免重复导入，\
            保留每条记录的文件与偏移，并把文件同步到磁盘。其他引擎仍占优之处：DuckDB 统计不同目的与连接时所用内存更少；三者写出的文件都更小，因为每条记录的\
            出处占了本工具文件的四分之一。",
};
