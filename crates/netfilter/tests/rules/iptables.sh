# Rules of every match and target that is read; the tool's name comes first. Those without a module here fail alone.
I=$1
$I -A INPUT -p tcp --dport 22 -j ACCEPT
$I -A INPUT -p tcp -m multiport --dports 80,443,1000:2000 -j ACCEPT
$I -A INPUT -p tcp -m multiport ! --sports 80,443 -j DROP
$I -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
$I -A INPUT -m conntrack ! --ctstate NEW -j ACCEPT
$I -A INPUT -m state --state INVALID -j DROP
$I -A INPUT -m limit --limit 5/min --limit-burst 7 -j LOG --log-prefix "drop: " --log-level 4
$I -A INPUT -p tcp -m hashlimit --hashlimit-above 5/sec --hashlimit-mode srcip --hashlimit-name h1 -j DROP
$I -A INPUT -p tcp --syn -m connlimit --connlimit-above 10 --connlimit-mask 32 -j REJECT --reject-with tcp-reset
$I -A INPUT -m recent --name bad --update --seconds 60 --hitcount 4 -j DROP
$I -A INPUT -m recent --name bad --set
$I -A INPUT -s 10.0.0.5 -m comment --comment "a ban" -j DROP
$I -A INPUT ! -s 10.0.0.0/24 -j DROP
$I -A INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 -j DROP
$I -A INPUT -m mark --mark 0x1/0xff -j ACCEPT
$I -A INPUT -m addrtype --dst-type LOCAL -j ACCEPT
$I -A INPUT -m mac --mac-source 00:11:22:33:44:55 -j DROP
$I -A INPUT -i lo -j ACCEPT
$I -A INPUT -i eth+ -j ACCEPT
$I -A INPUT -p icmp --icmp-type echo-request -j ACCEPT
$I -A INPUT -p udp --sport 53 --dport 1024: -j ACCEPT
$I -A INPUT -p tcp --tcp-flags ALL NONE -j DROP
$I -A INPUT -m string --string "evil" --algo bm -j DROP
$I -A INPUT -m length --length 100:200 -j DROP
$I -A INPUT -m ttl --ttl-lt 5 -j DROP
$I -A INPUT -m pkttype --pkt-type broadcast -j DROP
$I -A INPUT -m statistic --mode random --probability 0.5 -j DROP
$I -A INPUT -m time --timestart 10:00 --timestop 12:00 -j DROP
$I -A INPUT -m socket -j ACCEPT
$I -A INPUT -m set --match-set f2b src -j REJECT
$I -A INPUT -m set ! --match-set f2bnet src,dst -j DROP
$I -A INPUT -m connmark --mark 5 -j DROP
$I -A INPUT -m helper --helper ftp -j ACCEPT
$I -A INPUT -m connbytes --connbytes 1000: --connbytes-dir both --connbytes-mode bytes -j DROP
$I -A INPUT -m u32 --u32 "0&0xFF=5" -j DROP
$I -A INPUT -m bpf --bytecode "1,6 0 0 0" -j DROP
$I -A INPUT -p tcp -m tcpmss --mss 100:200 -j DROP
$I -A INPUT -p tcp --tcp-option 8 -j DROP
$I -A INPUT -m quota --quota 1000 -j ACCEPT
$I -A INPUT -m dscp --dscp 8 -j ACCEPT
$I -A INPUT -m policy --dir in --pol ipsec -j ACCEPT
$I -A INPUT -f -j DROP
$I -N CH
$I -A INPUT -p 50 -j CH
$I -A INPUT -g CH
$I -A CH -j RETURN
$I -A INPUT -j REJECT
$I -A INPUT -j REJECT --reject-with icmp-admin-prohibited
$I -A INPUT -j NFQUEUE --queue-num 5
$I -A INPUT -j NFLOG --nflog-group 3
$I -A INPUT -p tcp -j SYNPROXY --mss 1460
$I -A OUTPUT -m owner --uid-owner 1000 -j DROP
$I -A FORWARD -m physdev --physdev-in eth0 -j DROP
$I -P FORWARD DROP
$I -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2:8080
$I -t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 3128
$I -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
$I -t nat -A POSTROUTING -j SNAT --to-source 1.2.3.4-1.2.3.9
$I -t nat -A POSTROUTING -j NETMAP --to 10.0.0.0/8
$I -t raw -A PREROUTING -p tcp --dport 80 -j CT --notrack
$I -t raw -A PREROUTING -p tcp --dport 80 -j NOTRACK
$I -t mangle -A PREROUTING -j MARK --set-mark 5
$I -t mangle -A PREROUTING -j CONNMARK --save-mark
$I -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
$I -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 3128 --tproxy-mark 1/1
$I -t mangle -A PREROUTING -j TTL --ttl-set 5
$I -t mangle -A PREROUTING -j DSCP --set-dscp 8
$I -t raw -A PREROUTING -m rpfilter --invert -j DROP
$I -A INPUT -m conntrack --ctorigdstport 80:90 --ctdir ORIGINAL -j ACCEPT
$I -A INPUT -m conntrack --ctstatus SEEN_REPLY,ASSURED -j ACCEPT
$I -A INPUT -m conntrack --ctorigsrc 10.0.0.0/8 -j ACCEPT
$I -A INPUT -m connlimit --connlimit-upto 3 --connlimit-mask 24 --connlimit-daddr -j ACCEPT
$I -A INPUT -m hashlimit --hashlimit-upto 10/min --hashlimit-burst 20 --hashlimit-mode srcip,dstport --hashlimit-name h2 --hashlimit-srcmask 24 -j ACCEPT
$I -A INPUT -m recent --name bad --rcheck -j DROP
$I -A INPUT -m recent --name bad ! --rcheck --seconds 10 --rdest -j DROP
$I -A INPUT -p tcp --sport 1024:65535 ! --dport 22 -j DROP
$I -A INPUT -p tcp ! --syn -j DROP
$I -A INPUT ! -p tcp -j ACCEPT
$I -A INPUT ! -i eth0 -d 10.0.0.1 -j ACCEPT
$I -A INPUT -m statistic --mode nth --every 3 --packet 0 -j DROP
$I -A INPUT -m string --hex-string "|0001|" --algo kmp --from 10 --to 100 -j DROP
$I -A INPUT -m time --weekdays Mon,Tue --kerneltz -j DROP
$I -A INPUT -m tos --tos 0x10/0x3f -j DROP
$I -A INPUT -p sctp --dport 5000 -j DROP
$I -A OUTPUT -m owner --gid-owner 5 --socket-exists -j DROP
$I -A OUTPUT -m owner ! --uid-owner 5-10 -j DROP
$I -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024-2000 --random
$I -t nat -A PREROUTING -p udp -j DNAT --to-destination 10.0.0.2-10.0.0.4:53 --persistent
$I -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-90
$I -t mangle -A PREROUTING -j MARK --set-xmark 0x1/0xf
$I -t mangle -A PREROUTING -j CONNMARK --set-mark 7
$I -t mangle -A PREROUTING -j CONNMARK --restore-mark
$I -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 3128 --on-ip 127.0.0.1 --tproxy-mark 1/1
$I -t mangle -A POSTROUTING -j CLASSIFY --set-class 1:2
$I -t mangle -A POSTROUTING -j TOS --set-tos 0x10/0x3f
$I -t mangle -A PREROUTING -j TEE --gateway 10.0.0.9
$I -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp
$I -t raw -A PREROUTING -j CT --zone 5
$I -A INPUT -j LOG --log-level 6 --log-tcp-options --log-uid
$I -A INPUT -j NFQUEUE --queue-balance 1:4 --queue-bypass
$I -A INPUT -j SET --add-set f2b src
$I -A INPUT -j REJECT --reject-with icmp-host-prohibited
$I -A INPUT -p tcp -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460
true
