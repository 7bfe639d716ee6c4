//! What the JSON logs of the clouds become, record by record, on examples written after their documentation.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_flows::read::{Format, Reader, sniff};
use netwhy_flows::{Action, Direction, Flow, Names, Opener, Status, UnreadCount};
use proptest::prelude::*;
use std::sync::Arc;

fn read(text: &str) -> (Vec<Flow>, UnreadCount, Arc<Names>) {
    let reader = Reader::new(Arc::new(Names::default()));
    let mut flows = Vec::new();
    let count = reader.read("log.json", text.as_bytes(), &mut |block| flows.extend(block.flows)).unwrap();
    (flows, count, reader.names)
}

fn addresses(flow: &Flow) -> String {
    format!("{}:{} > {}:{}", flow.source, flow.source_port, flow.destination, flow.destination_port)
}

const NSG: &str = r#"{"records":[{"time":"2018-11-13T12:00:35.3899262Z","systemId":"a0fca5ce-022c-47b1-9735-89943b42f2fa",
"macAddress":"000D3AF87856","category":"NetworkSecurityGroupFlowEvent",
"resourceId":"/SUBSCRIPTIONS/AA00/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/NSG1",
"operationName":"NetworkSecurityGroupFlowEvents","properties":{"Version":2,"flows":[
 {"rule":"DefaultRule_DenyAllInBound","flows":[{"mac":"000D3AF87856","flowTuples":["1542110402,94.102.49.190,10.5.16.4,28746,443,U,I,D,B,,,,"]}]},
 {"rule":"UserRule_web","flows":[{"mac":"000D3AF87856","flowTuples":[
  "1542110377,10.0.0.4,13.67.143.118,59831,443,T,O,A,B,,,,",
  "1542110379,10.0.0.4,13.67.143.117,59932,443,T,O,A,E,1,66,1,70",
  "1542110379,10.0.0.4,13.67.143.117,59932,443,T,O,Q,E,1,66,1,70"]}]}]}}]}"#;

#[test]
fn azure_network_security_groups_tell_both_ways() {
    assert_eq!(sniff("PT1H.json", NSG.as_bytes()), Some(Format::AzureJson));
    let (flows, count, names) = read(NSG);
    assert_eq!((flows.len(), count.unread), (4, 1), "{:?}", count.places);
    assert_eq!(addresses(&flows[0]), "94.102.49.190:28746 > 10.5.16.4:443");
    assert_eq!((flows[0].action, flows[0].direction, flows[0].protocol), (Action::Reject, Direction::In, 17));
    assert_eq!(&*names.word(flows[0].rule), "DefaultRule_DenyAllInBound");
    assert_eq!(&*names.word(flows[0].account), "aa00");
    assert_eq!(&*names.word(flows[0].interface), "000D3AF87856");
    assert_eq!(
        (flows[1].action, flows[1].packets, flows[1].start_ms),
        (Action::Accept, 0, 1_542_110_377_000)
    );
    assert_eq!((flows[2].packets, flows[2].bytes, flows[2].opener), (1, 66, Opener::Source));
    assert_eq!(addresses(&flows[3]), "13.67.143.117:443 > 10.0.0.4:59932");
    assert_eq!(
        (flows[3].bytes, flows[3].opener, flows[3].direction),
        (70, Opener::Destination, Direction::In)
    );
}

#[test]
fn azure_version_one_and_virtual_networks_are_read() {
    let v1 = r#"{"records":[{"resourceId":"x","properties":{"Version":1,"flows":[{"rule":"r","flows":[{"mac":"m","flowTuples":["1487282421,42.119.146.95,10.1.0.4,51529,5358,T,I,D"]}]}]}}]}"#;
    let (flows, count, _) = read(v1);
    assert_eq!((flows.len(), count.unread), (1, 0), "{:?}", count.places);
    assert_eq!((flows[0].action, flows[0].protocol), (Action::Reject, 6));
    let vnet = r#"{"records":[{"time":"2022-09-14T09:00:52.5625085Z","flowLogVersion":4,"flowLogGUID":"g","macAddress":"00224871C205",
     "category":"FlowLogFlowEvent","flowLogResourceID":"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/R/PROVIDERS/P","targetResourceID":"/subscriptions/s1/x",
     "operationName":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"a","flowGroups":[
      {"rule":"DefaultRule_AllowInternetOutBound","flowTuples":["1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,B,NX,0,0,0,0",
       "1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580"]},
      {"rule":"BlockHighRiskTCPPortsFromInternet","flowTuples":["1663145998065,101.33.218.153,10.0.0.6,55188,22,6,I,D,NX,0,0,0,0"]}]}]}}]}"#;
    let (flows, count, names) = read(vnet);
    assert_eq!((flows.len(), count.unread), (4, 0), "{:?}", count.places);
    assert_eq!((flows[1].packets, flows[1].bytes, flows[1].start_ms), (3, 767, 1_663_146_003_606));
    assert_eq!((flows[2].bytes, &*names.word(flows[2].account)), (1580, "s1"));
    assert_eq!((flows[3].action, flows[3].destination_port), (Action::Reject, 22));
    assert_eq!(&*names.word(flows[3].rule), "BlockHighRiskTCPPortsFromInternet");
}

const GCP: &str = r#"{"insertId":"1","jsonPayload":{"bytes_sent":"4520","connection":{"dest_ip":"8.8.8.8","dest_port":53,"protocol":17,"src_ip":"10.128.0.5","src_port":40000},"end_time":"2024-05-01T10:00:05.123456789Z","packets_sent":"12","reporter":"SRC","src_instance":{"project_id":"p1","region":"us","vm_name":"vm-a","zone":"z"},"start_time":"2024-05-01T12:00:00.5+02:00"},"logName":"projects/p1/logs/compute.googleapis.com%2Fvpc_flows","resource":{"labels":{"project_id":"p1","subnetwork_name":"default"},"type":"gce_subnetwork"},"timestamp":"2024-05-01T10:00:10Z"}"#;

#[test]
fn google_cloud_entries_are_read_as_lines_and_as_a_list() {
    let dest = GCP.replace("\"SRC\"", "\"DEST\"").replace("src_instance", "dest_instance");
    let pretty = format!("[\n  {},\n  {dest}\n]\n", GCP.replace(",\"end_time\"", ",\n    \"end_time\""));
    for text in [
        format!("{GCP}\n{dest}\n"),
        pretty,
        format!("[{GCP},{dest}]"),
        format!("{{\"entries\":[{GCP},{dest}]}}"),
    ] {
        assert_eq!(sniff("x", text.as_bytes()), Some(Format::GcpJson));
        let (flows, count, names) = read(&text);
        assert_eq!((flows.len(), count.unread), (2, 0), "{:?}", count.places);
        assert_eq!(addresses(&flows[0]), "10.128.0.5:40000 > 8.8.8.8:53");
        assert_eq!((flows[0].bytes, flows[0].packets, flows[0].protocol), (4520, 12, 17));
        assert_eq!((flows[0].start_ms, flows[0].end_ms), (1_714_557_600_500, 1_714_557_605_123));
        assert_eq!((flows[0].direction, flows[0].action), (Direction::Out, Action::Unknown));
        assert_eq!((flows[1].direction, flows[1].action), (Direction::In, Action::Accept));
        assert_eq!((&*names.word(flows[0].account), &*names.word(flows[1].interface)), ("p1", "vm-a"));
        assert_eq!(flows[1].offset, text.rfind("{\"insertId\"").unwrap() as u64);
    }
}

#[test]
fn a_broken_object_on_a_line_harms_no_other() {
    let text = format!("{GCP}\n{}\n{GCP}\n{{\"a\":[[[\n{GCP}\n", &GCP[..200]);
    let (flows, count, _) = read(&text);
    assert_eq!((flows.len(), count.unread), (3, 2), "{:?}", count.places);
    assert_eq!(count.places["log.json"][0].number, 2);
    let nested = format!("{GCP}\n{}\n{GCP}\n", "[".repeat(100_000));
    let (flows, count, _) = read(&nested);
    assert_eq!((flows.len(), count.unread), (2, 1));
    let torn = &NSG[..NSG.len() - 40];
    assert_eq!(read(torn).1.unread, 1);
}

#[test]
fn google_cloud_firewall_entries_name_their_rule() {
    let text = r#"{"jsonPayload":{"connection":{"dest_ip":"10.10.0.99","dest_port":3389,"protocol":6,"src_ip":"203.0.113.7","src_port":500},"disposition":"DENIED","instance":{"project_id":"p","vm_name":"v"},"rule_details":{"action":"DENY","direction":"INGRESS","reference":"network:default/firewall:deny-rdp"}},"timestamp":"2024-05-01T10:00:10Z"}"#;
    let (flows, count, names) = read(text);
    assert_eq!((flows.len(), count.unread), (1, 0), "{:?}", count.places);
    assert_eq!((flows[0].action, flows[0].direction), (Action::Reject, Direction::In));
    assert_eq!(&*names.word(flows[0].rule), "network:default/firewall:deny-rdp");
}

#[test]
fn aliyun_is_read_as_objects_as_commas_and_as_words() {
    let json = r#"{"__topic__":"flow_log","__time__":1700000000,"version":"1","vswitch-id":"vsw-1","vm-id":"i-1","vpc-id":"vpc-1","account-id":"1234567890","eni-id":"eni-1","srcaddr":"10.0.0.1","srcport":"40000","dstaddr":"47.1.2.3","dstport":"22","protocol":"6","direction":"out","packets":"10","bytes":"2048","start":"1700000000","end":"1700000060","log-status":"OK","action":"REJECT","tcp-flags":"2"}"#;
    let header = "version,vswitch-id,vm-id,vpc-id,account-id,eni-id,srcaddr,srcport,dstaddr,dstport,protocol,direction,packets,bytes,start,end,log-status,action,tcp-flags";
    let line = "1,vsw-1,i-1,vpc-1,1234567890,eni-1,10.0.0.1,40000,47.1.2.3,22,6,out,10,2048,1700000000,1700000060,OK,REJECT,2";
    let quoted = |text: &str| text.split(',').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(",");
    for (format, text) in [
        (Format::AliyunJson, format!("{json}\n")),
        (Format::AliyunJson, format!("[{json}]")),
        (Format::AliyunText, format!("{header}\n{line}\n")),
        (Format::AliyunText, format!("{}\r\n{}\r\n", quoted(header), quoted(line))),
        (Format::AliyunText, format!("{}\n{}\n", header.replace(',', " "), line.replace(',', " "))),
    ] {
        assert_eq!(sniff("x", text.as_bytes()), Some(format), "{text}");
        let (flows, count, names) = read(&text);
        assert_eq!((flows.len(), count.unread), (1, 0), "{text}: {:?}", count.places);
        assert_eq!(addresses(&flows[0]), "10.0.0.1:40000 > 47.1.2.3:22");
        assert_eq!((flows[0].direction, flows[0].action), (Direction::Out, Action::Reject));
        assert_eq!((flows[0].opener, flows[0].tcp_flags, flows[0].bytes), (Opener::Source, 2, 2048));
        assert_eq!((&*names.word(flows[0].interface), flows[0].end_ms), ("eni-1", 1_700_000_060_000));
    }
}

#[test]
fn lines_inside_cloudwatch_json_are_read() {
    let message = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 22 6 20 4249 1418530010 1418530070 ACCEPT OK";
    let event = format!(
        r#"{{"logStreamName":"eni-1","timestamp":1418530010000,"message":"{message}","eventId":"1"}}"#
    );
    for text in [
        format!("{{\"events\":[{event},{event}],\"searchedLogStreams\":[]}}"),
        format!(
            "{{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{event}]}}{{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{event}]}}"
        ),
        format!("{event}\n{event}\n"),
    ] {
        assert_eq!(sniff("x", text.as_bytes()), Some(Format::AwsJson), "{text}");
        let (flows, count, _) = read(&text);
        assert_eq!((flows.len(), count.unread), (2, 0), "{text}: {:?}", count.places);
        assert_eq!((flows[1].destination_port, flows[1].status), (22, Status::Ok));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_reader_stop(bytes in prop::collection::vec(any::<u8>(), 0..600), format in 0usize..6) {
        let format = [Format::AwsText, Format::AwsJson, Format::AzureJson, Format::GcpJson, Format::AliyunJson, Format::AliyunText][format];
        let mut reader = Reader::new(Arc::new(Names::default()));
        reader.format = Some(format);
        let _ = reader.read("x", bytes.as_slice(), &mut |_| ());
    }

    #[test]
    fn a_document_that_was_cut_or_changed_is_read_as_far_as_it_goes(which in 0usize..2, at in 0usize..1400, byte: u8, cut: bool) {
        let mut bytes = [NSG, GCP][which].as_bytes().to_vec();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let mut reader = Reader::new(Arc::new(Names::default()));
        reader.format = Some([Format::AzureJson, Format::GcpJson][which]);
        let mut flows = 0;
        let count = reader.read("x", bytes.as_slice(), &mut |block| flows += block.flows.len()).unwrap();
        prop_assert_eq!(count.read, flows as u64);
        for place in count.places.values().flatten() {
            prop_assert!(!place.excerpt.contains(char::is_control) && !place.why.en.contains(char::is_control));
        }
    }
}
