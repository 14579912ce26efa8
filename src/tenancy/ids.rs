//! Where session ids stand in the params of each method, read from the method table once.

use std::sync::LazyLock;

use crate::wire::{
    Method, MethodIndex, Methods, Scan,
    scan::{Place, Value},
};

/// How ids stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One id, or nothing.
    One,
    /// An array of ids.
    Many,
    /// An array of objects with a `sessionId` each.
    Records,
}

/// The id places of one method.
#[derive(Debug, Default)]
pub struct IdPlaces {
    /// All of them.
    pub all: Vec<(Place, Form)>,
    /// All but `params.sessionId`, which routing looks at anyway.
    pub others: Vec<(Place, Form)>,
    /// `params.sessionId` is one of them and has to be there.
    pub needs_session: bool,
}

/// What stands at an id place is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoIds(pub Place);

static TABLE: LazyLock<Vec<IdPlaces>> = LazyLock::new(|| {
    let table = Methods::get();
    (0..table.names().len()).map(|row| IdPlaces::read(table.row(MethodIndex(row as u16)), row == 0)).collect()
});

impl IdPlaces {
    /// Those of a method. Of an unknown one every place where any method has an id.
    #[inline]
    pub fn of(method: MethodIndex) -> &'static Self {
        &TABLE[usize::from(method.0)]
    }

    fn read(row: &Method, unknown: bool) -> Self {
        let all = if unknown { every_place() } else { row.ids.iter().filter_map(|path| place_of(path)).collect() };
        let others = all.iter().copied().filter(|(place, _)| *place != Place::SessionId).collect();
        let needs_session = row.ids.iter().any(|path| path == "params.sessionId");
        Self { all, others, needs_session }
    }
}

fn every_place() -> Vec<(Place, Form)> {
    let table = Methods::get();
    let mut all = Vec::new();
    for row in 1..table.names().len() {
        for found in table.row(MethodIndex(row as u16)).ids.iter().filter_map(|path| place_of(path)) {
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }
    all
}

/// The place that a path of the table names. `(prefix)`, `(indirect)` and `(path)` mark what is not an id itself.
fn place_of(path: &str) -> Option<(Place, Form)> {
    let path = path.strip_prefix("params.")?.trim_end_matches('?');
    if path.contains('(') {
        return None;
    }
    let (name, form) = match path.split_once("[]") {
        None => (path, Form::One),
        Some((name, "" | "?")) => (name, Form::Many),
        Some((name, _)) => (name, Form::Records),
    };
    let place = Place::ALL.iter().find(|place| place.path() == name)?;
    Some((*place, form))
}

/// The ids that stand at a place. Nothing, `null` and the empty string are no ids.
///
/// # Errors
/// Something else than the place's form stands there.
pub fn ids_at(scan: &Scan, body: &[u8], (place, form): (Place, Form)) -> Result<Vec<String>, NoIds> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Record {
        session_id: String,
    }
    let wrong = NoIds(place);
    match (scan.value(place), form) {
        (Value::Absent | Value::Null(_), _) => Ok(Vec::new()),
        (Value::Text(_), Form::One) => {
            let text = scan.text(body, place).ok_or(wrong)?;
            Ok(if text.is_empty() { Vec::new() } else { vec![text.into_owned()] })
        }
        (Value::Array(span), Form::Many) => span.of(body).and_then(|raw| serde_json::from_slice(raw).ok()).ok_or(wrong),
        (Value::Array(span), Form::Records) => {
            let records: Vec<Record> = span.of(body).and_then(|raw| serde_json::from_slice(raw).ok()).ok_or(wrong)?;
            Ok(records.into_iter().map(|record| record.session_id).collect())
        }
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> &'static IdPlaces {
        IdPlaces::of(Methods::get().find(name))
    }

    #[test]
    fn every_path_of_the_table_is_a_place_or_marked_as_none() {
        let table = Methods::get();
        for row in 1..table.names().len() {
            let row = table.row(MethodIndex(row as u16));
            for path in &row.ids {
                assert!(path.contains('(') || place_of(path).is_some(), "{}: {path}", row.name);
            }
        }
    }

    #[test]
    fn second_ids_and_arrays_are_known() {
        assert_eq!(of("session.send").others, []);
        assert!(of("session.send").needs_session && !of("session.create").needs_session);
        assert_eq!(of("session.mode.set").others, [(Place::InheritPlan, Form::One)]);
        assert_eq!(of("sessions.bulkDelete").all, [(Place::SessionIds, Form::Many)]);
        assert_eq!(of("sessions.enrichMetadata").all, [(Place::Sessions, Form::Records)]);
        assert_eq!(of("sessions.findByPrefix").all, []);
        assert!(of("sessions.open").others.contains(&(Place::OptionsParent, Form::One)));
        assert!(of("nobody.knows").all.contains(&(Place::ToSessionId, Form::One)), "of an unknown method all");
    }

    #[test]
    fn ids_are_read_unescaped_and_by_form() {
        let read = |params: &str, at| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
            ids_at(&Scan::read(body.as_bytes()).unwrap(), body.as_bytes(), at)
        };
        assert_eq!(read(r#"{"sessionId":"\u0061b"}"#, (Place::SessionId, Form::One)), Ok(vec!["ab".into()]));
        assert_eq!(read(r#"{"sessionId":""}"#, (Place::SessionId, Form::One)), Ok(vec![]));
        assert_eq!(read(r#"{"sessionId":5}"#, (Place::SessionId, Form::One)), Err(NoIds(Place::SessionId)));
        assert_eq!(
            read(r#"{"sessionIds":["a","\u0062"]}"#, (Place::SessionIds, Form::Many)),
            Ok(vec!["a".into(), "b".into()])
        );
        assert!(read(r#"{"sessionIds":["a",5]}"#, (Place::SessionIds, Form::Many)).is_err());
        assert!(read(r#"{"sessionIds":"a"}"#, (Place::SessionIds, Form::Many)).is_err());
        let records = r#"{"sessions":[{"sessionId":"a","x":1},{"session\u0049d":"b"}]}"#;
        assert_eq!(read(records, (Place::Sessions, Form::Records)), Ok(vec!["a".into(), "b".into()]));
        let twice = r#"{"sessions":[{"sessionId":"a","sessionId":"b"}]}"#;
        assert!(read(twice, (Place::Sessions, Form::Records)).is_err(), "which one would the runtime take?");
    }
}
