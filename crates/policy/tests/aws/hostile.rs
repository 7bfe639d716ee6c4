//! Files that are broken on purpose.

use crate::estates::{BALANCER, BASE, OPEN, PEER, end};
use netwhy_policy::aws::Aws;
use netwhy_policy::estate::{Ask, End, Estate};
use proptest::prelude::*;

/// A listing with a bit of everything, to be broken.
const LISTING: &str = r#"{"Vpcs":[{"VpcId":"v","CidrBlock":"10.0.0.0/16"}],"Subnets":[{"SubnetId":"s","VpcId":"v","CidrBlock":"10.0.0.0/24"}],
"NetworkAcls":[{"NetworkAclId":"a","VpcId":"v","Associations":[{"SubnetId":"s"}],"Entries":[{"RuleNumber":1,"Protocol":"6","PortRange":{"From":1,"To":2},"CidrBlock":"10.0.0.0/8","RuleAction":"allow","Egress":true}]}],
"RouteTables":[{"RouteTableId":"r","VpcId":"v","Associations":[{"Main":true}],"Routes":[{"DestinationCidrBlock":"0.0.0.0/0","GatewayId":"igw-1"}]}],
"SecurityGroups":[{"GroupId":"g","IpPermissions":[{"IpProtocol":"tcp","FromPort":1,"ToPort":9,"IpRanges":[{"CidrIp":"0.0.0.0/0"}],"UserIdGroupPairs":[{"GroupId":"g"}]}]}],
"NetworkInterfaces":[{"NetworkInterfaceId":"e","SubnetId":"s","VpcId":"v","PrivateIpAddress":"10.0.0.4","Groups":[{"GroupId":"g"}],"Association":{"PublicIp":"1.2.3.4"}}],
"NatGateways":[{"NatGatewayId":"n","SubnetId":"s","NatGatewayAddresses":[{"PrivateIp":"10.0.0.9"}]}],
"TransitGatewayAttachments":[{"TransitGatewayAttachmentId":"t","TransitGatewayId":"w","ResourceType":"vpc","ResourceId":"v"}]}"#;

fn ask_all(files: &[(std::sync::Arc<str>, &str)]) {
    let aws = Aws::read(files);
    let ends: Vec<End> =
        ["10.0.0.4", "8.8.8.8", "e", "n", "aws_instance.web", "outside", "::1"].map(end).to_vec();
    for from in &ends {
        for to in &ends {
            aws.way(&Ask { from: from.clone(), to: to.clone(), protocol: 6, port: Some(443), request: None });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_mutation_of_a_listing_makes_it_panic(at in 0..LISTING.len(), cut in 0..30usize, with in "[\\PC]{0,5}") {
        let mut text = LISTING.to_owned();
        text.replace_range(at..(at + cut).min(LISTING.len()), &with);
        ask_all(&[("x.json".into(), text.as_str())]);
    }

    #[test]
    fn no_mutation_of_terraform_makes_it_panic(at in 0..2_000usize, cut in 0..30usize, with in "[\\PC\n]{0,5}") {
        let mut text = [BASE, OPEN, BALANCER, PEER].concat();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &with);
        ask_all(&[("x.tf".into(), text.as_str())]);
    }
}
