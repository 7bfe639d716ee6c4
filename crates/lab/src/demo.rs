//! The network and the faults of `netwhy demo`: nothing but the program itself is needed.

use crate::error::Result;
use crate::library::Library;
use crate::script::{Act, Script};

/// Three machines in a row and three faults, one after the other.
pub fn demo() -> Result<Script> {
    let target = "https://shop.example.test/";
    let act = |name: &str, inject: &[&str], heal: &[&str]| Act {
        name: name.to_owned(),
        target: target.to_owned(),
        args: Vec::new(),
        from: "client".to_owned(),
        inject: inject.iter().map(|&step| step.to_owned()).collect(),
        heal: heal.iter().map(|&step| step.to_owned()).collect(),
        verify: true,
    };
    Ok(Script {
        network: Library::built_in().network("demo")?,
        acts: vec![
            act("certificate", &["cert shop expired", "restart web"], &["cert shop", "restart web"]),
            act("service", &["kill web"], &["start web"]),
            act("resolver", &["freeze resolver"], &["thaw resolver"]),
        ],
        ends: crate::ends::Ends::Client,
        program: None,
        arguments: Vec::new(),
        seed: 1,
        save: false,
        toolbox: crate::toolbox::Toolbox::None,
    })
}
