//! The short texts of the help: English, and the Chinese that stands for it.

use super::pages;
use crate::commands;

/// English texts and the Chinese ones that stand for them.
pub(super) const TEXTS: &[(&str, &str)] = &[
    ("Says why this host cannot reach a target, and what fixes it", "说明本机为何连不上目标，以及如何修复"),
    ("Say why this host cannot reach a target, and what fixes it", "说明本机为何连不上目标，以及如何修复"),
    (
        "Teach one cause: what it is, how it looks, how to prove it, how to mend it",
        "详解一个原因：是什么、有何表现、如何证明、如何修复",
    ),
    (
        "Ask DNS: every resolver apart, the walk from the root, DNSSEC, and who is wrong or slow",
        "询问 DNS：逐个解析器、从根开始的追踪、DNSSEC，以及谁错、谁慢",
    ),
    (
        "Make an HTTP request: every phase timed, redirects followed, and who wrote the status",
        "发 HTTP 请求：逐段计时、跟随跳转，并指出状态码由谁产生",
    ),
    (
        "Make a TCP handshake and say how it ended, who ended it, and what retries did",
        "做 TCP 握手，说明结局、由谁造成、重试如何",
    ),
    (
        "Measure loss, latency and jitter by TCP, ICMP or UDP, as the wire sees them",
        "以 TCP、ICMP 或 UDP 测量线路上真实的丢包、时延与抖动",
    ),
    (
        "Follow the path hop by hop: where SYN, UDP and ping die, loss, loops and path MTU",
        "逐跳追踪路径：SYN、UDP、ping 各在哪里消失，丢包、环路与路径 MTU",
    ),
    (
        "Ask a TLS server: handshake, certificate chain, versions, ciphers, and what one change to the hello does",
        "询问 TLS 服务器：握手、证书链、版本、密码套件，以及只改 ClientHello 一处的差别",
    ),
    (
        "See netwhy at work: a small network, three faults, three verdicts; needs nothing else",
        "看 netwhy 如何工作：一个小网络，三个故障，三份结论；不需要其他任何东西",
    ),
    (
        "Break networks of your own making for real, to learn and to measure",
        "在自建网络中真实注入故障，用于学习与度量",
    ),
    ("Write the completions of a shell", "输出 shell 补全脚本"),
    ("Write the manual pages", "输出手册页"),
    ("Print help", "显示帮助"),
    ("Print version", "显示版本"),
    ("Write JSON; short for --format json", "输出 JSON；即 --format json"),
    ("How to write the report [env: NETWHY_FORMAT]", "报告的格式 [env: NETWHY_FORMAT]"),
    ("Language of what is written; the locale's by default", "输出所用语言；默认随系统区域设置"),
    ("When to use colour; NO_COLOR is honoured", "何时使用颜色；遵循 NO_COLOR"),
    (
        "Show more: what is asked while it runs, and all that was seen",
        "显示更多：运行中询问了什么，以及全部所见",
    ),
    ("Read settings from this file only", "只从此文件读取设置"),
    (
        "Also stand there while asking: origin, edge, client (asks from there) or any router's name; PLACE is ssh://USER@HOST, netns:NAME, exec:'PREFIX' or agent://HOST",
        "询问时也在该处观察：origin、edge、client（从该处发起询问）或任意路由器名；PLACE 为 ssh://USER@HOST、netns:NAME、exec:'PREFIX' 或 agent://HOST",
    ),
    ("Other ends", "其他端点"),
    ("Certificates for agents", "访问代理的证书"),
    (
        "Join what another end recorded by itself (netwhy host --record) into the replayed case",
        "把另一端自行记录的内容（netwhy host --record）并入重放的案例",
    ),
    ("What is to be reached: a URL, host:port, or a name", "要访问的目标：URL、主机:端口 或域名"),
    (
        "Also ask the origin behind a protection node directly, with the same Host and SNI",
        "同时绕过防护节点，以相同的 Host 与 SNI 直接询问源站",
    ),
    (
        "What counts as success; whatever misses it is a fault to explain",
        "什么算成功；未达到的即为需要解释的故障",
    ),
    (
        "The path a load balancer asks to see whether the service is well",
        "负载均衡用来检查服务是否正常的路径",
    ),
    ("A request header, such as 'Accept-Language: zh'", "一个请求头，如 'Accept-Language: zh'"),
    ("The request method [default: GET]", "请求方法 [默认：GET]"),
    ("Send a request body of so many bytes", "发送这么多字节的请求体"),
    ("PEM file with a client certificate and its key", "含客户端证书及其私钥的 PEM 文件"),
    ("PEM file with roots to trust besides the system's", "在系统信任之外再信任的根证书 PEM 文件"),
    ("Ask this resolver instead of those in resolv.conf", "询问此解析器，而不是 resolv.conf 中的"),
    ("Send from this address", "从此地址发出"),
    ("Send through this interface", "从此网卡发出"),
    ("Use IPv4 only", "只用 IPv4"),
    ("Use IPv6 only", "只用 IPv6"),
    ("Longest time for one target [default: 11s]", "每个目标的最长用时 [默认：11s]"),
    ("Keep the case with all that was seen", "把案例连同全部所见保存下来"),
    (
        "Conclude again from a kept case; nothing is asked ('-' reads stdin)",
        "从保存的案例重新得出结论，不再询问（'-' 读标准输入）",
    ),
    (
        "The id of a cause, or how ids begin; all are listed without one",
        "原因的 id 或其开头几段；不写则列出全部",
    ),
    ("The shell to write for", "为哪种 shell 输出"),
    (
        "Write the page of every command into this folder, instead of the first one to stdout",
        "把每个命令的手册页写入此目录，而不是把首页写到标准输出",
    ),
    ("Output", "输出"),
    ("What to ask", "问什么"),
    ("How to ask", "怎么问"),
    ("Cases", "案例"),
    (crate::args::EXAMPLES, pages::EXAMPLES),
    (commands::diagnose::EXAMPLES, pages::DIAGNOSE),
    (commands::explain::EXAMPLES, pages::EXPLAIN),
    (commands::dns::EXAMPLES, pages::DNS),
    (commands::ping::EXAMPLES, pages::PING),
    (commands::tcp::EXAMPLES, pages::TCP),
    (commands::scan::EXAMPLES, pages::SCAN),
    (commands::policy::EXAMPLES, pages::POLICY),
    (commands::policy::check::EXAMPLES, pages::POLICY_CHECK),
    (commands::policy::packet::EXAMPLES, pages::POLICY_PACKET),
    (commands::policy::waf::EXAMPLES, pages::POLICY_WAF),
    (
        "Ask rules instead of the network: who may reach whom, which rule stops it, what is wrong with them",
        "不发报文，只问规则：谁能访问谁、哪条规则拦截、规则有何问题",
    ),
    (
        "May A reach B: every rule that stops it, and the smallest change that mends it",
        "A 能否访问 B：列出每条拦截规则，以及最小的修复改动",
    ),
    ("Everyone who may reach a port of a host", "谁能访问某主机的某端口"),
    ("Who reaches whom on what, as a table", "谁能在哪些端口访问谁（表格）"),
    (
        "What is wrong with the rules: dead, redundant, in conflict, too open, unused, dangling",
        "规则有何问题：永不匹配、冗余、冲突、过度放行、无人使用、引用缺失",
    ),
    (
        "What changes between two sets of rules: not their text, their meaning",
        "两套规则之间的变化：不是文本，而是含义",
    ),
    ("Hold the rules against what must and must not be possible", "检查规则是否满足必须可达与不得可达的要求"),
    (
        "Send one packet, or many, through rules of nftables or iptables, on paper",
        "在纸面上让一个或多个报文走一遍 nftables 或 iptables 规则",
    ),
    (
        "Which rules of a web firewall requests would trip, and the narrowest exclusion",
        "请求会触发 Web 防火墙的哪些规则，以及最窄的排除规则",
    ),
    (
        "Files and folders with rules; this machine's own rules without any",
        "含规则的文件与目录；不给则读取本机规则",
    ),
    ("The same as a flag; may be repeated", "同上，写作选项；可重复"),
    (
        "Also read the objects of the cluster that kubectl reaches, or of that context",
        "同时读取 kubectl 当前（或指定 context）集群的对象",
    ),
    (
        "What is known of who asks, for zero-trust conditions: identity, group, mfa, device.KEY, time, country …; may be repeated",
        "零信任条件所需的发起方事实：identity、group、mfa、device.KEY、time、country 等；可重复",
    ),
    (
        "A TCP port that a host listens on; those named of a host are taken for all it has",
        "某主机监听的 TCP 端口；为一台主机写出的端口视为其全部监听端口",
    ),
    (
        "What is asked for, where rules of load balancers look at it: https://shop.example.com/api/orders",
        "所请求的网址，供负载均衡的转发规则判断：https://shop.example.com/api/orders",
    ),
    (
        "What a member of a balancer answers: 10.0.0.5:8080/health=200, 10.0.0.5:8080/=302>/login; * is any member",
        "负载均衡成员的响应：10.0.0.5:8080/health=200、10.0.0.5:8080/=302>/login；* 表示任意成员",
    ),
    (
        "Who asks: an address, a network, a name in the files, or outside",
        "发起方：地址、网段、文件中的名称，或 outside（外网）",
    ),
    ("What is asked: an address, network or name with a port", "被访问方：地址、网段或名称，后跟端口"),
    ("The transport protocol, as a name or number", "传输协议，名称或编号"),
    (
        "What a host's packet filter among the files is: of the one asked, of the one asking, or of a router between",
        "文件中的主机包过滤位于何处：被访问方、发起方，或中间路由器",
    ),
    ("The interface a packet comes in by", "报文进入的网卡"),
    ("The interface it leaves by", "报文离开的网卡"),
    ("The interface it comes in by", "报文进入的网卡"),
    ("What is reached: an address, network or name with a port", "被访问方：地址、网段或名称，后跟端口"),
    ("Only ends whose name begins so; may be repeated", "只看名称以此开头的端点；可重复"),
    ("Write an SVG picture", "输出 SVG 图"),
    (
        "Write SARIF 2.1.0, which code hosts and editors show beside the lines",
        "输出 SARIF 2.1.0，代码托管平台与编辑器可在行旁显示",
    ),
    ("Tell only of what is at least so grave", "只报告至少这么严重的问题"),
    ("Exit with 1 when something at least so grave was found", "发现至少这么严重的问题时以 1 退出"),
    (
        "Ranges of protection nodes that must be let through: a file with one a line, or a vendor's own format",
        "必须放行的防护节点网段文件：每行一个，或厂商自己的格式",
    ),
    ("The rules as they are: a file or folder", "现有规则：文件或目录"),
    ("The rules as they would be", "改动后的规则"),
    ("What must hold", "意图文件：必须成立的要求"),
    (
        "A file with rules of nftables (text or JSON) or iptables-save",
        "nftables（文本或 JSON）或 iptables-save 的规则文件",
    ),
    (
        "Protocol, source and destination: tcp 10.0.0.1:4000 10.0.0.2:443; JSON lines on stdin without them",
        "协议、源、目的：tcp 10.0.0.1:4000 10.0.0.2:443；不给则从标准输入读 JSON 行",
    ),
    ("Where the packet's way ends", "报文路径的终点"),
    ("TCP flags, such as syn or syn,ack; the default is syn", "TCP 标志，如 syn 或 syn,ack；默认 syn"),
    (
        "State of its connection: new, established, related, invalid or untracked",
        "连接状态：new、established、related、invalid 或 untracked",
    ),
    (
        "Any other key of a packet, such as ttl=64 or mark=1; may be repeated",
        "报文的其他键，如 ttl=64 或 mark=1；可重复",
    ),
    (
        "Requests: a file of HAR, JSON lines, commands of curl or raw HTTP, - for stdin, or a command of curl itself",
        "请求：HAR、JSON 行、curl 命令或原始 HTTP 的文件，- 表示标准输入，也可直接写一条 curl 命令",
    ),
    (
        "Rules of ModSecurity or Coraza, nginx or haproxy: files and folders",
        "ModSecurity/Coraza、nginx 或 haproxy 的规则：文件与目录",
    ),
    (
        "Also work out the narrowest exclusion for every request that is blocked",
        "同时为每个被拦截的请求求出最窄的排除规则",
    ),
    ("The paranoia level, where the rules leave it open", "偏执等级（规则未指定时）"),
    (
        "Files and folders with the rules on the way; what they say is evidence beside what is seen",
        "路径上各处规则的文件与目录；其结论作为证据与观测并列",
    ),
    (commands::trace::EXAMPLES, pages::TRACE),
    (commands::tls::EXAMPLES, pages::TLS),
    (commands::http::EXAMPLES, pages::HTTP),
    (commands::host::EXAMPLES, pages::HOST),
    (commands::demo::EXAMPLES, pages::DEMO),
    (commands::lab::EXAMPLES, pages::LAB),
    (commands::completions::EXAMPLES, pages::COMPLETIONS),
    (commands::man::EXAMPLES, pages::MAN),
    // dns
    ("The name to look up", "要查询的域名"),
    (
        "A record type such as AAAA, TXT or HTTPS, and servers to ask instead of those in resolv.conf",
        "记录类型，如 AAAA、TXT 或 HTTPS；以及代替 resolv.conf 所列解析器的服务器",
    ),
    (
        "Walk from the root down, and ask every name server of every zone on the way",
        "从根开始逐级向下，询问沿途每个区域的每台名称服务器",
    ),
    ("Start the walk at this address instead of the internet's roots", "从此地址而不是互联网的根开始"),
    ("Validate the answer, and say why it is bogus", "验证应答，并说明为何无效"),
    ("Ask over TCP", "用 TCP 询问"),
    (
        "Ask everything: the zone's own servers, DNSSEC, and the other record types",
        "全部询问：区域自己的服务器、DNSSEC 以及其他记录类型",
    ),
    // ping
    (
        "A name or address; with a port SYNs are sent, without one echo requests",
        "域名或地址；带端口则发送 SYN，不带则发送 echo 请求",
    ),
    ("Send SYNs; needs a port", "发送 SYN；需要端口"),
    ("Send echo requests", "发送 echo 请求"),
    ("Send datagrams", "发送 UDP 数据报"),
    ("Stop after so many probes [default: 10]", "发送这么多次后停止 [默认：10]"),
    ("Time between two probes", "两次探测的间隔"),
    ("Go on until Ctrl-C", "持续到 Ctrl-C"),
    ("Bytes of payload in each echo request or datagram", "每个 echo 请求或数据报的载荷字节数"),
    ("Give a probe up after this time", "单次探测等待的最长时间"),
    // tcp
    (
        "Host and port, such as shop.example:443 or [2001:db8::1]:22; a URL works as well",
        "主机与端口，如 shop.example:443 或 [2001:db8::1]:22；也可以是 URL",
    ),
    (
        "Also repeat the handshake: in a row, at once, held open, from fixed source ports",
        "并重复握手：依次、同时、保持不断、固定源端口",
    ),
    ("Do not send first bytes after the handshake", "握手后不发送首批字节"),
    // scan
    (
        "Scan ports of hosts and networks: which answer at all, and how the others fail",
        "扫描主机与网络的端口：哪些有应答，其余如何失败",
    ),
    (
        "Names, addresses, ranges (10.0.0.1-9), blocks (10.0.0.0/24), or lists of them (@FILE, @- for stdin)",
        "域名、地址、范围（10.0.0.1-9）、地址块（10.0.0.0/24），或它们的列表（@FILE，@- 为标准输入）",
    ),
    (
        "Ports to ask, such as 22,80-90,https or all [default: the 1000 commonest]",
        "要询问的端口，如 22,80-90,https 或 all [默认：最常见的 1000 个]",
    ),
    ("Ask the N commonest ports", "询问最常见的 N 个端口"),
    ("Leave these hosts out; as HOSTS, separated by commas", "排除这些主机；写法同 HOSTS，以逗号分隔"),
    ("Leave these ports out", "排除这些端口"),
    (
        "Ask UDP services in their own words, instead of TCP ports",
        "用各自的协议询问 UDP 服务，而不是 TCP 端口",
    ),
    (
        "Look at what is open: TLS or not, HTTP, SSH or another banner, the certificate's names",
        "查看开放的是什么：是否 TLS、HTTP、SSH 或其他问候语、证书上的名称",
    ),
    ("Tell of closed and silent ports too", "也列出关闭与无应答的端口"),
    (
        "Common ports first, below usual limits; a ban that does not end stops it [default, but not for private addresses]",
        "常见端口在先，低于通常的限制；封禁若不解除即停 [默认，私有地址除外]",
    ),
    ("As fast as the way carries", "以线路所能承载的速度"),
    (
        "At most so many packets a second, such as 500 or 20k; max turns politeness off",
        "每秒至多这么多报文，如 500 或 20k；max 表示毫无克制",
    ),
    ("Pause at random between packets, so long on average", "报文之间随机停顿，平均这么久"),
    ("Stop after this time", "到时即停"),
    (
        "Send packets of netwhy's own; needs root or CAP_NET_RAW [default where possible]",
        "发送 netwhy 自己的报文；需要 root 或 CAP_NET_RAW [可行时为默认]",
    ),
    ("Connect with sockets of the system", "用系统套接字连接"),
    (
        "Ask only the I-th of N equal parts, such as 1/4; every part with the same seed",
        "只询问 N 等份中的第 I 份，如 1/4；各份须用同一种子",
    ),
    (
        "Seed of the random order [default: another each time; 0 with --shard]",
        "随机顺序的种子 [默认：每次不同；有 --shard 时为 0]",
    ),
    ("Keep in this file where the scan stands", "把扫描进度保存在此文件"),
    ("Go on where a scan stopped, and keep on in the same file", "从中断处继续，并继续保存在同一文件"),
    (
        "Do not ask whether this host may scan that many or public addresses",
        "不再询问是否有权扫描这么多地址或公网地址",
    ),
    ("Results", "结果"),
    (
        "Ports that ought to be open, and no others: open=80,443, or open=none; exit code 1 otherwise",
        "应当开放且仅应开放的端口：open=80,443，或 open=none；不符时退出码为 1",
    ),
    (
        "Compare with an earlier scan's JSON lines; exit code 1 when something changed",
        "与先前扫描的 JSON 行比较；有变化时退出码为 1",
    ),
    ("Write JSON lines into this file as well ('-' for stdout)", "另把 JSON 行写入此文件（'-' 为标准输出）"),
    (
        "Write XML as nmap does into this file ('-' for stdout)",
        "把 nmap 格式的 XML 写入此文件（'-' 为标准输出）",
    ),
    (
        "Write comma-separated values into this file ('-' for stdout)",
        "把逗号分隔值写入此文件（'-' 为标准输出）",
    ),
    // trace
    ("A name or address; port 443 unless given", "域名或地址；不写端口则为 443"),
    ("Trace with SYNs to the port", "用发往该端口的 SYN 追踪"),
    ("Trace with datagrams", "用 UDP 数据报追踪"),
    ("Trace with echo requests", "用 echo 请求追踪"),
    ("Trace with all three [default: SYN and echo]", "三种都用 [默认：SYN 与 echo]"),
    ("Farthest hop to ask", "最远询问到第几跳"),
    (
        "Times every hop is asked; from the fourth on at the pace routers answer, one a second for each protocol",
        "每一跳询问的次数；第四次起按路由器的应答节奏，每种协议每秒一次",
    ),
    ("Also find the largest packet that crosses", "并找出能通过的最大报文"),
    // tls
    ("The server: a name or address, port 443 unless given", "服务器：域名或地址，不写端口则为 443"),
    (
        "Send this name and judge the certificate by it, whatever HOST is",
        "无论 HOST 是什么，都发送此名称并据此评判证书",
    ),
    ("Ask every version, cipher suite and group too", "并询问每个版本、密码套件与密钥交换组"),
    // http
    ("What is to be asked; https unless a scheme is given", "要询问的 URL；不写协议则为 https"),
    ("The protocol that must be spoken: 1.0, 1.1, 2 or 3", "必须使用的协议：1.0、1.1、2 或 3"),
    ("Ask it again so many times", "重复询问这么多次"),
    (
        "Ask every variant too: path, Host, codings, protocols, sizes, repeated, kept idle, upgraded",
        "并询问每种变体：路径、Host、编码、协议、大小、重复、空闲保持、协议升级",
    ),
    ("Show the header lines of the answer", "显示应答的头部"),
    ("Ask this address, whatever the name resolves to", "无论域名解析到哪里，都询问此地址"),
    // host
    (
        "Read this machine and judge it: sockets, queues, limits, firewall, routes, services, logs",
        "读取并评判本机：套接字、队列、上限、防火墙、路由、服务、日志",
    ),
    ("Time over which counters are seen to rise; 0 for none", "观察计数器增长的时间；0 为不观察"),
    ("Leave the logs unread", "不读取日志"),
    ("Tell only of these; may be repeated, or separated by commas", "只显示这些部分；可重复，或用逗号分隔"),
    ("Live", "实时"),
    ("Show it live", "实时显示"),
    ("Time between two looks", "两次查看的间隔"),
    ("Both ends", "两端"),
    (
        "Save what this end sees while a client probes it ('-' writes to stdout)",
        "在客户端探测期间保存本端所见（'-' 写到标准输出）",
    ),
    ("The address the client comes from, as this end sees it", "本端看到的客户端来源地址"),
    ("The port the client asks for, as this end has it", "客户端访问的、本端的端口"),
    ("Stop after this time, or at Ctrl-C", "到时或按 Ctrl-C 时停止"),
    ("The client asks over UDP", "客户端使用 UDP"),
    // agent
    (
        "Let others with a certificate look at this host: the far end of --at origin=agent://HOST",
        "让持有证书者查看本机：即 --at origin=agent://HOST 的对端",
    ),
    (commands::agent::EXAMPLES, pages::AGENT),
    (commands::agent::INIT_EXAMPLES, pages::AGENT_INIT),
    ("The address to listen at", "监听的地址"),
    (
        "Directory with the certificates for agents, as `netwhy agent init` made it",
        "访问代理所用证书的目录，由 `netwhy agent init` 生成",
    ),
    (
        "PEM file with the certificate to show, instead of the one in that directory",
        "要出示的证书的 PEM 文件，代替该目录中的",
    ),
    ("PEM file with its key", "其私钥的 PEM 文件"),
    ("PEM file with the authority that signed both sides' certificates", "签发双方证书的机构的 PEM 文件"),
    (
        "Also run cases for clients: this host then probes targets they choose",
        "也为客户端运行案例：本机将探测他们选定的目标",
    ),
    (
        "Let watches trace rules and drops: a trace of the watched packets is set up, and removed when the watch ends; the asking host is sent three echo requests",
        "允许观察时追踪规则与丢包：为所观察的报文设置追踪，观察结束时移除；并向发起方发送三个回显请求",
    ),
    ("Sessions at the same time", "同时进行的会话数"),
    ("Make the certificates of an agent and of its clients", "生成代理及其客户端的证书"),
    ("The directory to write to", "写入的目录"),
    ("A host name clients will write after agent://", "客户端写在 agent:// 之后的主机名"),
    ("An address clients will write after agent://", "客户端写在 agent:// 之后的地址"),
    ("A client to make a certificate for", "要生成证书的客户端"),
    ("Days until they expire", "有效天数"),
    // lab
    ("List the scenarios", "列出场景"),
    ("Only those whose name, folder or cause contains this", "只取名称、目录或原因含有此文本的"),
    (
        "Read scenarios and topologies from this directory instead of those built in",
        "从此目录而不是内置的读取场景与拓扑",
    ),
    (
        "Move all addresses and names, and throw other dice; 0 leaves them as written",
        "换一套地址与名称，并另掷骰子；0 为原样",
    ),
    ("Strew harmless oddities over the network, drawn by the seed", "按种子在网络中撒入无害的怪象"),
    (
        "Run netwhy on the client alone, beside the lab with a way into both ends, or into every router too",
        "只在客户端上运行 netwhy；或在各主机之外运行，可进入两端；或还可进入每台路由器",
    ),
    (
        "Play scenarios before your eyes: built, broken, diagnosed, mended, diagnosed again",
        "当面演示场景：搭建、破坏、诊断、恢复、再诊断",
    ),
    ("Names of scenarios; netwhy lab list shows them", "场景名称；netwhy lab list 可列出"),
    ("Keep the verdicts and saved cases in this directory", "把结论与案例保存在此目录"),
    (
        "Play all of them and count how often the first cause was the true one",
        "全部演示，并统计首因正确的次数",
    ),
    (
        "Labs at the same time; more than one disturbs the times measured",
        "同时进行的实验数；多于一个会影响计时",
    ),
    ("Write the results as JSON to this file", "把结果以 JSON 写入此文件"),
    ("Keep every verdict and saved case in this directory", "把每份结论与案例保存在此目录"),
];
