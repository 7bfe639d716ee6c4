# As iptables.sh, for IPv6.
I=$1
$I -P FORWARD DROP
$I -A INPUT -s 2001:db8::/32 -p tcp -m tcp --dport 22 -j DROP
$I -A INPUT ! -s fe80::1 -i eth+ -m limit --limit 1/s -j ACCEPT
$I -A INPUT -s 2001:db8::1 -d 2001:db8::2 ! -o lo -j DROP
$I -A OUTPUT -d 2001:db8::/33 -o lo -j DROP
$I -A INPUT -p icmpv6 --icmpv6-type echo-request -j REJECT --reject-with icmp6-adm-prohibited
$I -A INPUT -p tcp -m multiport --dports 1,2 -j REJECT --reject-with tcp-reset
$I -A INPUT -m hl --hl-lt 5 -m conntrack --ctorigsrc 2001:db8::/32 -j DROP
$I -A INPUT -p tcp --syn -m connlimit --connlimit-above 3 --connlimit-mask 64 -j REJECT --reject-with icmp6-port-unreachable
$I -A INPUT -m hashlimit --hashlimit-above 5/sec --hashlimit-mode srcip --hashlimit-name six --hashlimit-srcmask 64 -j DROP
$I -A INPUT -m iprange --src-range 2001:db8::1-2001:db8::9 -j DROP
$I -A INPUT -m recent --name six --rcheck --seconds 5 --hitcount 2 -j DROP
$I -N CH
$I -A INPUT -g CH
$I -A INPUT -p esp -j CH
$I -A CH -m mark --mark 0x5 -j RETURN
$I -t nat -A PREROUTING -p tcp -j DNAT --to-destination [2001:db8::1]:80
$I -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80
$I -t nat -A POSTROUTING -j SNAT --to-source 2001:db8::1-2001:db8::5
$I -t nat -A POSTROUTING -o lo -j MASQUERADE
$I -t mangle -A PREROUTING -j HL --hl-set 5
$I -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 80 --on-ip ::1 --tproxy-mark 0x1/0x1
$I -t raw -A PREROUTING -p tcp -j CT --notrack
true
