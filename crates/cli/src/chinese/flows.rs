//! The help of `netwhy flows` in Chinese.

use crate::commands::flows;

/// English texts and the Chinese ones that stand for them.
pub(super) const TEXTS: &[(&str, &str)] = &[
    (flows::EXAMPLES, EXAMPLES),
    (flows::lake::QUESTIONS, QUESTIONS),
    (
        "Read flow logs, captures and logs: what they know, and whether this host is the attacker; keep them in a lake",
        "读取流日志、抓包与日志：它们知道什么，本机是否就是攻击者；并存入数据湖",
    ),
    (
        "Find attacks in flow logs, captures and logs: who, whom, when, how sure, the proof, and what to do",
        "在流日志、抓包与日志中发现攻击：谁、对谁、何时、把握多大、证据，以及该做什么",
    ),
    (
        "Show records in one schema whatever wrote them, or what they add up to",
        "无论来源，以同一种结构显示记录，或显示其汇总",
    ),
    (
        "Watch this host's own connections, and name the process behind an attack",
        "观察本机自身的连接，并指出攻击背后的进程",
    ),
    (
        "Receive NetFlow, IPFIX and sFlow, and find attacks as they begin",
        "接收 NetFlow、IPFIX 与 sFlow，在攻击开始时即发现",
    ),
    (
        "Write records into a lake: sorted Parquet, here or in an object store, each file once",
        "把记录写入数据湖：排序的 Parquet，存于本机或对象存储，每个文件只导入一次",
    ),
    (
        "Ask a lake, or files as they are: a named question, or SQL",
        "向数据湖或原始文件提问：命名的问题，或 SQL",
    ),
    ("Forget a lake's old records and merge its small files", "清除数据湖中过期的记录，并合并小文件"),
    (
        "Write a made-up day of flow logs with attacks in it, and the truth about them",
        "写出一天虚构的流日志，其中含攻击，并给出真相",
    ),
    (
        "Write the records to this file, as an AWS flow log; stdout by default",
        "把记录以 AWS 流日志格式写入此文件；默认标准输出",
    ),
    ("Write the truth as JSON to this file", "把真相以 JSON 写入此文件"),
    ("The same seed draws the same day", "相同的种子得到相同的一天"),
    ("About so many records", "约这么多条记录"),
    ("How much the attacks do, 1 for all of it", "攻击的强度，1 为全部"),
    (
        "Another estate: hosts that face the internet, other address plans, not every interface logged",
        "另一种环境：主机直面互联网、地址规划不同、并非每块网卡都有日志",
    ),
    ("The version of the AWS format: 2, or 5 with TCP flags", "AWS 格式的版本：2，或带 TCP 标志的 5"),
    ("Share out a cluster's queries among its executors", "把集群的查询分配给各执行器"),
    ("Work on the queries of a cluster", "执行集群的查询"),
    (
        "Flow logs, captures, exports, access and authentication logs, folders of them, and lakes; '-' reads stdin",
        "流日志、抓包、导出文件、访问与认证日志、含它们的目录，以及数据湖；'-' 读取标准输入",
    ),
    (
        "The order of fields of AWS logs without a header line, as in the flow log's own definition",
        "没有表头行的 AWS 日志的字段顺序，与流日志定义中的写法相同",
    ),
    ("Threads that read; as many as there are processors by default", "读取线程数；默认与处理器数相同"),
    (
        "An address of our own, where the records do not show it; may be repeated",
        "属于我方、但记录中看不出的地址；可重复",
    ),
    ("Tell only what is at least so sure, between 0 and 1", "只报告把握不低于此值的结果，0 到 1 之间"),
    ("What the records add up to, instead of the records", "显示记录的汇总，而不是记录本身"),
    (
        "Show so many rows; all records, or 20 rows of --top by default",
        "显示这么多行；默认显示全部记录，或 --top 的 20 行",
    ),
    ("Only records from or to this address", "只看来自或去往此地址的记录"),
    ("Only records with this port on one side", "只看一端为此端口的记录"),
    ("Only what was accepted, or what was rejected", "只看放行的，或只看拒绝的"),
    (
        "Only what began at or after this moment: 2026-01-01T09:14:00Z, or how long ago, such as 24h",
        "只看从此时刻起开始的：2026-01-01T09:14:00Z，或多久以前，如 24h",
    ),
    ("Only what began before this moment", "只看在此时刻之前开始的"),
    ("Stop after so long, such as 10m; Ctrl-C by default", "这么久之后停止，如 10m；默认直到 Ctrl-C"),
    ("Stop at the first attack", "发现第一起攻击即停止"),
    (
        "Listen on this UDP port; may be repeated [default: 2055, 4739 and 6343]",
        "监听此 UDP 端口；可重复 [默认：2055、4739 与 6343]",
    ),
    ("Listen on this address only", "只监听此地址"),
    ("Show the records instead of the attacks", "显示记录，而不是攻击"),
    ("Flow logs, captures and exports, and folders of them", "流日志、抓包与导出文件，以及含它们的目录"),
    (
        "The lake: a folder, s3://BUCKET/PREFIX, gs://… or az://…",
        "数据湖：目录、s3://BUCKET/PREFIX、gs://… 或 az://…",
    ),
    (
        "An option of the object store, such as aws_region=eu-west-1; the store's own variables count too",
        "对象存储的选项，如 aws_region=eu-west-1；其自身的环境变量同样有效",
    ),
    ("A named question, or SQL", "命名的问题，或 SQL"),
    ("Files and folders to ask instead of a lake", "不问数据湖，而问这些文件与目录"),
    ("Only what meets this condition in SQL", "只看满足此 SQL 条件的"),
    ("Since when a pair is new", "从何时起算新的通信对"),
    ("The step of a time series", "时间序列的步长"),
    (
        "A further table for SQL: a CSV file with a header; may be repeated",
        "SQL 可用的另一张表：带表头的 CSV 文件；可重复",
    ),
    ("Answer at most so many rows", "最多回答这么多行"),
    ("Write to this file; --format parquet needs it", "写入此文件；--format parquet 需要它"),
    ("Let this cluster work: ballista://HOST:PORT", "由此集群执行：ballista://HOST:PORT"),
    ("Show the SQL instead of asking it", "只显示 SQL，不执行"),
    ("Keep records of so many days", "保留这么多天的记录"),
    ("Listen here for executors and for those who ask", "在此监听执行器与提问者"),
    ("The scheduler to work for", "为哪个调度器工作"),
    (
        "Listen here for other executors, which fetch what this one worked out",
        "在此监听其他执行器，它们来取本执行器的结果",
    ),
    (
        "Listen here for the scheduler's orders; the next port by default",
        "在此监听调度器的指令；默认为下一个端口",
    ),
    ("Memory for queries, in MiB; beyond it they go to disk", "查询可用内存（MiB）；超出则写入磁盘"),
    (
        "Tasks at the same time; as many as there are processors by default",
        "同时执行的任务数；默认与处理器数相同",
    ),
    (
        "Keep what passes between stages in this folder; a temporary one by default",
        "阶段之间的数据存放于此目录；默认使用临时目录",
    ),
    (
        "Flow logs, captures and logs of the way and its ends; what they know is evidence too",
        "路径及其两端的流日志、抓包与日志；其中所知也作为证据",
    ),
];

const EXAMPLES: &str = "\
示例：
  netwhy flows detect vpc/ auth.log access.log.gz capture.pcap   谁在攻击谁、何时、把握多大，并给出证据
  netwhy flows watch                                             是不是本机？指出进程及其 unit
  netwhy flows listen --port 2055 --port 6343                    实时接收 NetFlow、IPFIX 与 sFlow
  netwhy flows show flows.log.gz --top rejected                  什么被拒绝、在哪个端口、由哪条规则
  netwhy flows show nfcapd.2026 --format csv > flows.csv         任何格式，同一种结构
  netwhy flows import vpc/ --lake /var/lib/netwhy                保存：排序的 Parquet，每个文件一次
  netwhy flows query fan-out --lake /var/lib/netwhy              命名的问题，或 SQL
  netwhy flows retention --lake /var/lib/netwhy --days 180
  netwhy --flows vpc/ https://shop.example/                      某条路径的记录，作为诊断的证据

文件可为 AWS（任何版本与字段顺序）、Azure（NSG 与虚拟网络）、GCP、阿里云的流日志；pcap 与 pcapng；数据报形式、
抓包中或 nfdump 文件中的 NetFlow、IPFIX 与 sFlow；nginx、Apache 与 haproxy 的访问与错误日志；sshd、journald 与
Kubernetes 审计日志；均可再经 gzip 压缩。目录会整体读取。

退出码：
  0  未发现攻击
  1  发现攻击
  2  netwhy 无法完成工作";

const QUESTIONS: &str = "\
问题：
  top-talkers     谁发送最多
  rejected        什么被拒绝，按端口与规则
  destinations    每个发送方有多少不同的接收方
  fan-out         同上，逐分钟
  pairs           谁与谁在什么端口通信
  new-pairs       自 --new-since 起才出现的通信对；默认为最后一天
  series          按处理结果的流数、包数与字节数随时间变化

其他内容均为对表 flows 的 SQL；各列见 docs/zh/flows.md：
  netwhy flows query \"SELECT dport, count(*) FROM flows WHERE action = 'reject' GROUP BY dport\" --lake lake
  netwhy flows query \"SELECT g.name, sum(bytes) FROM flows f JOIN g ON f.interface = g.interface GROUP BY g.name\"
  --table g=groups.csv --lake lake
  netwhy flows query series --where 'dport = 22' --format svg --lake lake > ssh.svg
  netwhy flows query fan-out vpc/*.log.gz           直接问文件，不经数据湖
  netwhy flows query pairs --lake s3://logs/lake --store aws_region=eu-west-1
  netwhy flows query fan-out --lake s3://logs/lake --cluster ballista://10.0.0.5:50050";
