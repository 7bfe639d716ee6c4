fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut case = netwhy_model::Case::new(args[1].parse().unwrap());
    for a in &args[2..] {
        if let Some(r) = a.strip_prefix('@') {
            case.source.resolvers.push(netwhy_model::Source::parse_resolver(r).unwrap());
        } else if a.contains('=') {
            case.expect.add(a).unwrap();
        }
    }
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let seen = netwhy_dns::names(&case).await;
        println!("-- names {:.0} ms {:?}", seen.elapsed_ms, seen.addresses);
        for e in &seen.evidence {
            println!("{:22} {:16} {}", e.fact, if e.speaks() { &e.value } else { "(unread)" }, e.excerpt);
        }
        let t = std::time::Instant::now();
        let (deep, _report) = netwhy_dns::names_deep_report(&case, &seen).await;
        println!("-- deep {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
        for e in &deep {
            println!("{:22} {:16} {}", e.fact, if e.speaks() { &e.value } else { "(unread)" }, e.excerpt);
        }
        if args.iter().any(|a| a == "--json") {
            println!("{}", serde_json::to_string_pretty(&seen.report).unwrap());
        }
    });
}
