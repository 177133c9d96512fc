//! envelopes.json: text frames.
use crate::{as_value, assert_counts, cases, decode, frame_text, text, vectors};

#[test]
fn envelopes_are_read_and_refused_as_listed() {
    let file = vectors("envelopes.json");
    let (accept, reject) = (cases(&file, "accept"), cases(&file, "reject"));
    assert_counts(&file, [accept, reject], [54, 131]);
    for case in accept {
        let envelope = decode(&frame_text(case)).unwrap_or_else(|e| panic!("{}: {e}", text(case, "name")));
        assert_eq!(as_value(&envelope, &case["envelope"]), case["envelope"], "{}", text(case, "name"));
    }
    for case in reject {
        let code = decode(&frame_text(case)).map_err(|e| e.code.as_str());
        assert_eq!(code, Err(text(case, "code")), "{}", text(case, "name"));
    }
}
