//! The pages below the help of each command in Chinese: examples, how to read what comes, exit codes.

pub(super) const EXAMPLES: &str = "\
示例：
  netwhy https://shop.example/                      我的网站为什么打不开？
  netwhy db.example:5432 -v                         并显示问了什么、看到了什么
  netwhy --origin 203.0.113.7 https://shop.example/ 是 CDN 节点的问题，还是源站的？
  netwhy --expect max-time=1s https://shop.example/ 慢也算故障
  netwhy --json shop.example | jq .causes           供程序使用
  netwhy explain tls.cert.expired                   某个原因是什么，如何证明与修复
  netwhy demo                                       在自带的小网络上看它如何工作

退出码：
  0  可达，且未发现问题
  1  发现了原因，或某项检查未通过
  2  netwhy 无法完成工作
  3  证据不足，无法判断

设置也可写在 netwhy.toml（当前目录或 ~/.config/netwhy）与 NETWHY_* 变量中；
命令行优先于变量，变量优先于文件。";

pub(super) const DIAGNOSE: &str = "\
目标：
  https://shop.example/cart   HTTPS；只写域名即为此意
  shop.example:5432           TCP；端口 80 与 8080 视为 HTTP，443 与 8443 视为 HTTPS
  tls://mail.example:993      只做 TLS 握手
  udp://198.51.100.7:53       UDP 服务
  dns:shop.example            只查域名
  [2001:db8::7]:443           IPv6 地址后跟端口时加方括号

期望（--expect KEY=VALUE，可重复）：
  status=200,204   max-time=1s   min-bytes=64k   http=2   tls-max=1.2   banner=SSH-2.0
  families=ipv4,ipv6   address=203.0.113.7   success-min=0.99   loss-max=2%   max-rtt=100ms

示例：
  netwhy https://shop.example/                              最常见的问题
  netwhy --origin 203.0.113.7 https://shop.example/         同时询问 CDN 背后的源站
  netwhy --expect families=ipv4,ipv6 https://shop.example/  IPv6 也必须可用
  netwhy --save case.json db.example:5432                   保存全部所见
  netwhy --replay case.json --format html > case.html       换个地方再次得出结论
  netwhy --at origin=ssh://root@203.0.113.7 https://shop.example/   从两端同时观察
  netwhy --at edge=ssh://node1 --at origin=ssh://web1 https://shop.example/   并诊断节点回源
  netwhy --at client=exec:'kubectl exec -i app --' db:5432  从容器内发起询问
  netwhy --policy aws/ --policy origin.nft https://shop.example/   并参考路径上的规则
  netwhy --flows vpc-logs/ --flows auth.log https://shop.example/   以及记录所知";

pub(super) const EXPLAIN: &str = "\
示例：
  netwhy explain                              按层列出 netwhy 已知的全部原因
  netwhy explain tls.cert                     与证书有关的原因
  netwhy explain tcp.refused.no_listener      是什么、有何表现、相似原因、如何修复
  netwhy explain tls.cert.expired --lang zh   中文说明
  netwhy explain dns.nxdomain --format html > page.html";

pub(super) const DNS: &str = "\
示例：
  netwhy dns shop.example                     本机程序得到什么，每个解析器怎么说
  netwhy dns shop.example --all               还有区域自己的服务器、DNSSEC、TXT、MX、HTTPS 等
  netwhy dns shop.example MX @9.9.9.9         只问一种类型、一台服务器；可给出多个 @
  netwhy dns shop.example --trace             从根开始，询问每个区域的每台服务器
  netwhy dns shop.example --trace --root 10.0.0.1   同上，从私有网络的根开始
  netwhy dns shop.example --dnssec            是否签名、能否验证、不能的原因
  netwhy dns big.example TXT --tcp            用 TCP，适合 UDP 装不下的应答

可以区分：域名不存在、没有地址、签名错误导致的 SERVFAIL、失效、跛脚、缓慢或互不一致的名称服务器；
失效、拒绝、缓慢、保留旧应答或伪造应答的解析器；UDP 或 TCP 53 被封；起覆盖作用的 hosts 文件；
成环、悬空或无尽的 CNAME；途中注入的应答。
退出码：0 可解析且无问题；1 有问题；2 无法询问。";

pub(super) const PING: &str = "\
示例：
  netwhy ping shop.example                 echo，与传统 ping 相同
  netwhy ping shop.example:443             向端口发 SYN（TCPing）：ping 被封时也可用
  netwhy ping shop.example:443 -c 500 -i 10ms   足以看出 1 % 丢包的次数
  netwhy ping 10.0.0.1 -t -s 1400          大报文，直到 Ctrl-C，然后给出汇总
  netwhy ping ns.example:53 --udp          UDP 数据报；关闭的端口也会应答

丢包指线路上的丢失：以 root 运行时发送原始报文，每个 SYN 只计一次；而只给连接计时的工具会被内核一秒后的
重试掩盖丢失。要看目标处的丢包；很少应答 ping 的路由器仍可能转发全部报文。
退出码：0 全部得到应答；1 有未应答；2 一个也发不出。";

pub(super) const TCP: &str = "\
应答的含义：
  SYN-ACK            那里有进程接受连接；其 TTL 表明距离
  RST                没有进程监听，或防火墙假装如此：与对照端口的 TTL 比较
  ICMP from target   目标主机自己的防火墙拒绝
  ICMP from router   途中设备拒绝，或没有路由；约 3 秒后才来，说明它在等 ARP
  silence            被丢弃：用 `netwhy trace` 看在哪里
  nothing left       本机自己的防火墙丢弃了 SYN

示例：
  netwhy tcp shop.example:443
  netwhy tcp [2001:db8::1]:22 --series
  netwhy tcp 203.0.113.7:3306 --json";

pub(super) const SCAN: &str = "\
示例：
  netwhy scan 10.0.0.2                          最常见的 1,000 个端口
  netwhy scan 10.0.0.2 -p all -s                全部 65,535 个，并查看开放的是什么
  netwhy scan shop.example -p 22,80-90,https    公网地址：先确认，再温和地询问
  netwhy scan 10.0.0.0/16 --top 100 --exclude 10.0.7.0/24 --json
  netwhy scan @hosts.txt -p all --checkpoint scan.ckpt    在 Ctrl-C 或崩溃之后：
  netwhy scan --resume scan.ckpt
  netwhy scan 10.0.0.0/16 -p all --shard 1/4    四台机器中一台的部分
  netwhy scan web1 --expect open=80,443         多开或少开时退出码为 1
  netwhy scan web1 --json > today.jsonl; netwhy scan web1 --diff today.jsonl
  netwhy scan ns1 --udp                         常见 UDP 服务，用各自的协议询问

端口的状态：
  开放      接受连接                        被拒绝    收到 ICMP 错误，并指出由谁发出
  关闭      RST                             被代答    由中间设备替主机应答
  无应答    隔开时间重试之后仍无应答        未知      尚未确定就被封禁或限速

退出码：0 完成；1 不符合预期，或与先前不同；2 netwhy 无法完成工作；3 未完成：被封禁，或时间用尽；
130 被 Ctrl-C 中止。只扫描有权扫描的目标。";

pub(super) const TRACE: &str = "\
示例：
  netwhy trace shop.example               逐跳并列：发往 443 端口的 SYN 与 ping
  netwhy trace shop.example:8443 --all    SYN、UDP 与 ping 并列
  netwhy trace shop.example --pmtu        并找出能通过的最大报文
  netwhy trace 10.0.0.1 --icmp --rounds 50   每一跳的丢包与时延

如何解读：ping 能继续而 SYN 不能，说明其间有设备过滤该端口。单独的星号不是故障：许多路由器很少或从不发送
这类应答，却照常转发。丢包只有持续到最后一行才有意义。同一对路由器反复出现就是环路。
退出码：0 到达目标；1 中途停止、成环或消失。";

pub(super) const TLS: &str = "\
示例：
  netwhy tls shop.example                        握手、证书链、谁接受、为何不接受
  netwhy tls shop.example --matrix               还有每个版本、密码套件与密钥交换组
  netwhy tls 203.0.113.7:8443 --sni shop.example 像 CDN 节点那样，以该名称询问此服务器
  netwhy tls mail.example:993 --client-cert me.pem
  netwhy tls shop.example --json | jq .addresses[0].handshake.chain

可以区分：过期、名称不符、自签名、未知的根、缺失或错误的中间证书、弱密钥、装订表明已吊销；
按名称或按 ClientHello 大小的过滤、需要 PROXY 头、端口上是明文。
退出码：0 无问题；1 有问题；2 没有可评判的应答。";

pub(super) const HTTP: &str = "\
示例：
  netwhy http https://shop.example/              如 curl -w 的分段计时、跳转、应答由谁写出
  netwhy http https://shop.example/ --deep       每次只改一处：路径、Host、编码、协议、大小
  netwhy http https://shop.example/ --origin 203.0.113.7:443
                                                 直接询问源站：是节点的问题还是源站的？
  netwhy http https://shop.example/ --http 2     必须支持 HTTP/2（1.1、2 或 3）
  netwhy http https://shop.example/api -X POST --body-bytes 200000 -H 'Authorization: Bearer …'
  netwhy http https://shop.example/ --repeat 50  五十次中成功几次，失败有何规律
  netwhy http https://shop.example/ --json | jq .exchange.phases

此处不评判证书，以免证书问题掩盖其他问题：请用 netwhy tls。
退出码：0 应答符合期望；1 有问题；2 没有可评判的应答。";

pub(super) const HOST: &str = "\
示例：
  netwhy host                        不到一秒说明这台机器哪里不对，不做任何改动
  sudo netwhy host                   以 root 运行还能看到其他用户的套接字、防火墙规则与日志
  netwhy host -v --only firewall     每条规则及其计数
  netwhy host --watch                实时显示：队列、状态、增长的计数器、对端
  netwhy host --window 5s --json     五秒内计数器的增量，供程序使用
  netwhy host --format html > host.html
  netwhy host --record origin.json --for 203.0.113.9 --port 443
                                     在 203.0.113.9 探测期间保存本端所见，供对端执行
                                     netwhy --replay client.json --join origin.json

只读：不触碰任何设置、规则或进程；--record 为跟踪而设置的内容在结束时移除，并向客户端发送三个回显请求。
退出码：0 未发现故障与风险；1 有；2 netwhy 无法完成工作。";

pub(super) const DEMO: &str = "\
在自己的命名空间里搭建客户端、路由器、解析器与 Web 服务器，全部由 netwhy 自身提供；让证书过期、杀死服务、
挂起解析器；每次都说明 netwhy 的发现，恢复后再次询问。不触碰其他任何东西，也不留下任何东西。
更多故障：netwhy lab list";

pub(super) const LAB: &str = "\
每个场景在自己的命名空间里搭建网络，真实注入故障，在其中运行 netwhy，恢复后再运行一次。不触碰外部的任何东西，
也不留下任何东西。只要内核允许用户创建命名空间，就不需要 root。

示例：
  netwhy lab list                    逐层列出全部场景
  netwhy lab run tls-expired         一分钟学会使用
  netwhy lab run hostfw-drop -v      并查看全部所见
  netwhy lab score --filter dns      netwhy 对域名类故障的正确率
  netwhy lab score --out results.json --keep cases/
  netwhy lab score --ends both       同样，但可进入客户端、边缘与源站";

pub(super) const COMPLETIONS: &str =
    "示例：\n  netwhy completions bash > ~/.local/share/bash-completion/completions/netwhy";

pub(super) const MAN: &str = "\
示例：
  netwhy man | man -l -            立即阅读
  netwhy man --dir /usr/share/man/man1";

pub(super) const AGENT: &str = "\
在要被查看的主机上：
  netwhy agent init /etc/netwhy-agent --name origin.example --address 203.0.113.7
  netwhy agent --agent-dir /etc/netwhy-agent --listen 203.0.113.7:7373

在提问的主机上，把 ca.pem、client.pem 与 client.key 复制到 ~/agent：
  netwhy https://shop.example/ --at origin=agent://origin.example --agent-dir ~/agent

没有此机构签发的证书，任何请求都得不到应答。进入者只能查看；加 --allow-run 后还可让本机探测他们选定的目标。
代理在监听之前放弃查看所不需要的一切特权。按 Ctrl-C 或收到 SIGTERM 时结束。";

pub(super) const AGENT_INIT: &str = "\
示例：
  netwhy agent init agent --name origin.example
  netwhy agent init agent --address 203.0.113.7 --client alice --client bob --days 90

写出 ca.pem、agent.pem 与 agent.key，留在代理一侧；每个客户端一份 NAME.pem 与 NAME.key，并附 ca.pem。
私钥只有其所有者可读。机构自身的私钥不保存在任何地方：要改动就重新生成一套。不覆盖任何文件。";

pub(super) const POLICY: &str = "\
示例：
  netwhy policy can 203.0.113.9 10.0.1.20:443 aws/ origin.nft   每条拦截规则，以及如何放行
  netwhy policy can outside web:443                             用本机自己的规则
  netwhy policy who db:5432 k8s/                                谁能访问
  netwhy policy matrix k8s/ --format html > matrix.html         谁能在哪些端口访问谁
  netwhy policy lint rules.nft --sarif > lint.sarif             永不匹配、冗余、冲突、对所有人开放
  netwhy policy diff old.nft new.nft                            哪些报文的处理结果变了
  netwhy policy check intents.toml --policy aws/                必须成立的要求，作为 CI 门禁
  netwhy policy packet rules.nft --hook forward --in eth0 tcp 10.0.0.1:4000 10.0.0.2:443
  netwhy policy waf requests.har crs/                           正常请求会触发哪些规则
  netwhy policy can 198.51.100.1 db:5432 access.json --fact mfa=true --fact identity=alice@corp.example
  netwhy policy lint haproxy.cfg host.json states.jsonl         并参考 netwhy host --json 的输出与状态历史

可读取：nftables（文本或 JSON）、iptables-save、ipset、Terraform（文件或 JSON 计划）、aws、az、gcloud、aliyun、
tccli 与华为工具的 JSON、Kubernetes 清单、nginx、haproxy 与 ModSecurity 配置，以及 JSON 形式的零信任策略；目录会整体读取。
不给任何文件时读取本机规则（需 root）。
netwhy host --json 的输出说明该主机在监听什么；形如
{\"time\":\"2026-01-02T03:04:05Z\",\"member\":\"10.0.0.1:80\",\"state\":\"down\"} 的行说明负载均衡成员何时处于何种状态。

退出码：
  0  允许；未发现问题；没有变化
  1  拒绝；发现问题；有变化
  2  netwhy 无法完成工作
  3  取决于文件未说明的内容";

pub(super) const POLICY_CHECK: &str = "\
intents.toml：
  [groups]
  edge = [\"203.0.113.0/24\"]

  [[intent]]
  name = \"防护节点能访问源站\"
  from = \"edge\"
  to = \"10.0.1.20:443\"
  must = \"reach\"

  [[intent]]
  name = \"外网不得访问数据库\"
  from = \"outside\"
  to = \"db:5432\"
  must = \"not-reach\"

全部满足时退出码为 0，有一条违反为 1，规则未说明为 3。";

pub(super) const POLICY_PACKET: &str = "\
示例：
  netwhy policy packet rules.nft --hook input tcp 203.0.113.9:40000 10.0.0.2:22
  netwhy policy packet rules.nft --in eth0 --out eth1 tcp 10.0.0.1:4000 10.0.0.2:443 --flags syn --state new
  netwhy policy packet iptables.save icmp 10.0.0.1 10.0.0.2
  netwhy policy packet rules.nft < packets.jsonl        每行一个回答

packets.jsonl 的一行；除协议、地址与端口外均可省略：
  {\"hook\":\"forward\",\"in\":\"eth0\",\"out\":\"eth1\",\"protocol\":\"tcp\",\"src\":\"10.0.0.1\",\"sport\":4000,
   \"dst\":\"10.0.0.2\",\"dport\":443,\"flags\":\"syn\",\"state\":\"new\"}
未给状态时，像内核一样逐报文跟踪连接。

放行时退出码为 0，丢弃或拒绝为 1，不确定为 3。";

pub(super) const POLICY_WAF: &str = "\
示例：
  netwhy policy waf requests.har crs-setup.conf rules/      每个请求触发哪些规则
  netwhy policy waf good.http rules/ --exclude              并给出尽可能窄的放行方式
  netwhy policy waf requests.jsonl nginx.conf               nginx 拒绝什么，以及速率到多少会拒绝
  netwhy policy waf requests.jsonl rules/ --paranoia 2
  netwhy policy waf \"curl 'https://shop.example/?q=a' -H 'Accept: */*' --data 'a=1'\" rules/

请求可为 HAR 文件、JSON 行、浏览器复制的 curl 命令或原始 HTTP；一行 JSON：
  {\"method\":\"GET\",\"uri\":\"/search?q=select\",\"headers\":{\"Host\":\"shop.example\"},\"body\":\"\"}

全部通过时退出码为 0，有请求被拦截为 1，不确定为 3。";
