//! A broker without one of its checks, and requests as no command makes them, for `tests/broker_attacks.rs`.
//!
//! `flux-weakened broker ARGUMENT...` leaves out the check that `FLUX_WEAKEN` names. `flux-weakened request TOPIC JSON` prints the answer;
//! `flux-weakened stream TOPIC JSON` prints the first of the answers.

use flux_client::Handle;
use flux_wire::Target;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["broker", ..] => {
            flux_runtime::leave_out(std::env::var("FLUX_WEAKEN").unwrap_or_default());
            ExitCode::from(flux_runtime::broker_main(args.into_iter().skip(1)))
        }
        [manner @ ("request" | "stream"), topic, body] => {
            println!("{}", ask(manner == "stream", topic, body).unwrap_or_else(|why| why));
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(2),
    }
}

fn ask(streaming: bool, topic: &str, body: &str) -> Result<String, String> {
    let body: serde_json::Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let refused = |error: flux_client::ClientError| format!("refused: {error}");
    let mut flux = Handle::open().map_err(refused)?;
    flux.set_timeout(Some(std::time::Duration::from_secs(5)));
    if !streaming {
        return flux.call(topic, Target::Any, body).map(|value| format!("answered: {value}")).map_err(refused);
    }
    let first =
        flux.stream(topic, Target::Any, body).and_then(|mut answers| answers.next_message()).map_err(refused)?;
    let value = first.as_ref().and_then(|message| message.payload.value().ok());
    Ok(value.map_or_else(|| "ended".to_owned(), |value| format!("answered: {value}")))
}
