//! Names that stand for numbers: protocols, services, types of ICMP, classes of service.

type Names = &'static [(&'static str, u16)];

/// The number of a protocol, by name or as a number. `all` is not one.
pub(super) fn protocol(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number = match text {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "ipv6-icmp" | "icmpv6" | "icmp6" => 58,
        other => look_up(PROTOCOLS, other)?,
    };
    u8::try_from(number).ok()
}

/// The number of a port, by name or as a number.
pub(super) fn port(text: &str) -> Option<u16> {
    match text.as_bytes().first() {
        Some(b'0'..=b'9') => text.parse().ok().or_else(|| hexadecimal(text)),
        _ => look_up(SERVICES, text),
    }
}

fn hexadecimal(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Type and code of an ICMP message; no code where the name stands for all.
pub(super) fn icmp(text: &str, v6: bool) -> Option<(u8, Option<u8>)> {
    let names = if v6 { ICMP6 } else { ICMP };
    names.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text)).map(|(_, kind, code)| (*kind, *code))
}

/// The six bits of a class of service.
pub(super) fn dscp_class(text: &str) -> Option<u16> {
    look_up(DSCP, &text.to_ascii_uppercase())
}

/// The byte of a type of service.
pub(super) fn tos(text: &str) -> Option<u16> {
    look_up(TOS, &text.to_ascii_lowercase())
}

fn look_up(names: Names, text: &str) -> Option<u16> {
    names.iter().find(|(name, _)| *name == text).map(|(_, number)| *number)
}

#[rustfmt::skip]
const PROTOCOLS: Names = &[
    ("ip", 0), ("hopopt", 0), ("igmp", 2), ("ggp", 3), ("ipencap", 4), ("ipip", 4), ("st", 5), ("egp", 8), ("igp", 9),
    ("pup", 12), ("hmp", 20), ("xns-idp", 22), ("rdp", 27), ("iso-tp4", 29), ("dccp", 33), ("xtp", 36), ("ddp", 37),
    ("idpr-cmtp", 38), ("ipv6", 41), ("ipv6-route", 43), ("ipv6-frag", 44), ("idrp", 45), ("rsvp", 46), ("gre", 47),
    ("esp", 50), ("ipv6-crypt", 50), ("ah", 51), ("ipv6-auth", 51), ("skip", 57), ("ipv6-nonxt", 59),
    ("ipv6-opts", 60), ("rspf", 73), ("vmtp", 81), ("eigrp", 88), ("ospf", 89), ("ax.25", 93), ("etherip", 97),
    ("encap", 98), ("pim", 103), ("ipcomp", 108), ("vrrp", 112), ("l2tp", 115), ("isis", 124), ("sctp", 132),
    ("fc", 133), ("mobility-header", 135), ("ipv6-mh", 135), ("mh", 135), ("udplite", 136), ("mpls-in-ip", 137),
    ("manet", 138), ("hip", 139), ("shim6", 140), ("wesp", 141), ("rohc", 142),
];

#[rustfmt::skip]
const SERVICES: Names = &[
    ("tcpmux", 1), ("echo", 7), ("discard", 9), ("systat", 11), ("daytime", 13), ("netstat", 15), ("qotd", 17),
    ("chargen", 19), ("ftp-data", 20), ("ftp", 21), ("ssh", 22), ("telnet", 23), ("smtp", 25), ("mail", 25),
    ("time", 37), ("whois", 43), ("tacacs", 49), ("domain", 53), ("bootps", 67), ("bootpc", 68), ("tftp", 69),
    ("gopher", 70), ("finger", 79), ("http", 80), ("www", 80), ("www-http", 80), ("kerberos", 88), ("iso-tsap", 102),
    ("pop3", 110), ("pop-3", 110), ("sunrpc", 111), ("portmapper", 111), ("auth", 113), ("ident", 113), ("nntp", 119),
    ("ntp", 123), ("epmap", 135), ("loc-srv", 135), ("netbios-ns", 137), ("netbios-dgm", 138), ("netbios-ssn", 139),
    ("imap2", 143), ("imap", 143), ("snmp", 161), ("snmp-trap", 162), ("snmptrap", 162), ("cmip-man", 163),
    ("xdmcp", 177), ("bgp", 179), ("irc", 194), ("smux", 199), ("qmtp", 209), ("z3950", 210), ("ipx", 213),
    ("ptp-event", 319), ("ptp-general", 320), ("pawserv", 345), ("rpc2portmap", 369), ("codaauth2", 370),
    ("clearcase", 371), ("ldap", 389), ("svrloc", 427), ("https", 443), ("snpp", 444), ("microsoft-ds", 445),
    ("kpasswd", 464), ("submissions", 465), ("smtps", 465), ("urd", 465), ("ssmtp", 465), ("saft", 487),
    ("isakmp", 500), ("rtsp", 554), ("exec", 512), ("biff", 512), ("login", 513), ("who", 513), ("shell", 514),
    ("syslog", 514), ("printer", 515), ("talk", 517), ("ntalk", 518), ("route", 520), ("router", 520), ("gdomap", 538),
    ("uucp", 540), ("klogin", 543), ("kshell", 544), ("dhcpv6-client", 546), ("dhcpv6-server", 547), ("afpovertcp", 548),
    ("nntps", 563), ("submission", 587), ("ldaps", 636), ("tinc", 655), ("silc", 706), ("kerberos-adm", 749),
    ("domain-s", 853), ("rsync", 873), ("ftps-data", 989), ("ftps", 990), ("telnets", 992), ("imaps", 993),
    ("pop3s", 995), ("socks", 1080), ("proofd", 1093), ("rootd", 1094), ("openvpn", 1194), ("rmiregistry", 1099),
    ("lotusnote", 1352), ("lotusnotes", 1352), ("ms-sql-s", 1433), ("ms-sql-m", 1434), ("ingreslock", 1524),
    ("datametrics", 1645), ("l2f", 1701), ("l2tp", 1701), ("radius", 1812), ("radius-acct", 1813), ("cisco-sccp", 2000),
    ("nfs", 2049), ("gnunet", 2086), ("rtcm-sc104", 2101), ("gsigatekeeper", 2119), ("gris", 2135), ("cvspserver", 2401),
    ("venus", 2430), ("mon", 2583), ("zebra", 2601), ("bgpd", 2605), ("gsiftp", 2811), ("gpsd", 2947), ("gds-db", 3050),
    ("icpv2", 3130), ("isns", 3205), ("iscsi-target", 3260), ("mysql", 3306), ("ms-wbt-server", 3389), ("nut", 3493),
    ("distcc", 3632), ("daap", 3689), ("svn", 3690), ("subversion", 3690), ("suucp", 4031), ("ipsec-nat-t", 4500),
    ("iax", 4569), ("radmin-port", 4899), ("sip", 5060), ("sip-tls", 5061), ("xmpp-client", 5222), ("xmpp-server", 5269),
    ("cfengine", 5308), ("mdns", 5353), ("postgresql", 5432), ("postgres", 5432), ("freeciv", 5556), ("amqps", 5671),
    ("amqp", 5672), ("x11", 6000), ("x11-1", 6001), ("gnutella-svc", 6346), ("redis", 6379), ("sge-qmaster", 6444),
    ("mysql-proxy", 6446), ("babel", 6696), ("ircs-u", 6697), ("bbs", 7000), ("afs3-fileserver", 7000), ("http-alt", 8080),
    ("webcache", 8080), ("puppet", 8140), ("bacula-dir", 9101), ("bacula-fd", 9102), ("bacula-sd", 9103),
    ("xmms2", 9667), ("git", 9418), ("zabbix-agent", 10050), ("zabbix-trapper", 10051), ("amanda", 10080), ("dicom", 11112),
    ("hkp", 11371), ("vnc", 5900),
];

type IcmpNames = &'static [(&'static str, u8, Option<u8>)];

#[rustfmt::skip]
const ICMP: IcmpNames = &[
    ("echo-reply", 0, None), ("pong", 0, None), ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)), ("host-unreachable", 3, Some(1)), ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)), ("fragmentation-needed", 3, Some(4)), ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)), ("host-unknown", 3, Some(7)), ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)), ("TOS-network-unreachable", 3, Some(11)), ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)), ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)), ("source-quench", 4, None), ("redirect", 5, None),
    ("network-redirect", 5, Some(0)), ("host-redirect", 5, Some(1)), ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)), ("echo-request", 8, None), ("ping", 8, None), ("router-advertisement", 9, None),
    ("router-solicitation", 10, None), ("time-exceeded", 11, None), ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)), ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None), ("ip-header-bad", 12, Some(0)), ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None), ("timestamp-reply", 14, None), ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

#[rustfmt::skip]
const ICMP6: IcmpNames = &[
    ("destination-unreachable", 1, None), ("no-route", 1, Some(0)), ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)), ("address-unreachable", 1, Some(3)), ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)), ("reject-route", 1, Some(6)), ("packet-too-big", 2, None),
    ("time-exceeded", 3, None), ("ttl-exceeded", 3, None), ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)), ("parameter-problem", 4, None), ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)), ("unknown-option", 4, Some(2)), ("echo-request", 128, None),
    ("ping", 128, None), ("echo-reply", 129, None), ("pong", 129, None), ("mld-listener-query", 130, None),
    ("mld-listener-report", 131, None), ("mld-listener-done", 132, None), ("mld-listener-reduction", 132, None),
    ("router-solicitation", 133, None), ("router-advertisement", 134, None), ("neighbour-solicitation", 135, None),
    ("neighbor-solicitation", 135, None), ("neighbour-advertisement", 136, None),
    ("neighbor-advertisement", 136, None), ("redirect", 137, None),
];

#[rustfmt::skip]
const DSCP: Names = &[
    ("CS0", 0x00), ("BE", 0x00), ("CS1", 0x08), ("CS2", 0x10), ("CS3", 0x18), ("CS4", 0x20), ("CS5", 0x28),
    ("CS6", 0x30), ("CS7", 0x38), ("AF11", 0x0a), ("AF12", 0x0c), ("AF13", 0x0e), ("AF21", 0x12), ("AF22", 0x14),
    ("AF23", 0x16), ("AF31", 0x1a), ("AF32", 0x1c), ("AF33", 0x1e), ("AF41", 0x22), ("AF42", 0x24), ("AF43", 0x26),
    ("EF", 0x2e), ("LE", 0x01), ("VA", 0x2c),
];

#[rustfmt::skip]
const TOS: Names = &[
    ("minimize-delay", 0x10), ("maximize-throughput", 0x08), ("maximize-reliability", 0x04), ("minimize-cost", 0x02),
    ("normal-service", 0x00),
];
