//! The Python module `wse_server._native`: thin bindings of the engine. `_native.pyi` says what each item is.
mod convert;
mod dead_letters;
mod engine;
mod events;
mod messages;
mod options;
mod presence;
mod publish;
mod snapshot;

use pyo3::prelude::*;

/// The Rust engine as Python sees it.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::engine::{Admission, Engine};
    #[pymodule_export]
    use super::events::EventQueue;
    use super::events::kind;
    #[pymodule_export]
    use super::messages::Messages;
    #[pymodule_export]
    use super::options::{check_options, filter_matches};
    #[pymodule_export]
    use super::publish::{Receipt, StoredMany};
    #[pymodule_export]
    use super::snapshot::{SnapshotCall, check_scope};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("AUTHENTICATE", kind::AUTHENTICATE)?;
        module.add("OPENED", kind::OPENED)?;
        module.add("MESSAGES", kind::MESSAGES)?;
        module.add("CLOSED", kind::CLOSED)?;
        module.add("PUBLISHED", kind::PUBLISHED)?;
        module.add("OUTBOUND", kind::OUTBOUND)?;
        module.add("WRITABLE", kind::WRITABLE)?;
        module.add("SNAPSHOT", kind::SNAPSHOT)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
