//! mosaik's part of the figures: `relay`, `write RELAY ROWS ROUNDS`, or `follow RELAY ITEMS KEY PEERS`.
//! It speaks the lines of `party.ts`: JSON on standard output, commands on standard input.

use std::{
	env,
	error::Error,
	fs,
	net::{Ipv4Addr, SocketAddr},
	time::Duration,
};

use iroh_relay::server::{RelayConfig, Server, ServerConfig};
use mosaik::{
	Network, NetworkId, StoreId,
	collections::Map,
	discovery,
	iroh::{EndpointAddr, RelayMode},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
	io::{AsyncBufReadExt, BufReader, stdin},
	time::{Instant, sleep},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// As many items as one command of the other programs' loads carries.
const BATCH_ITEMS: usize = 1_000;
const POLL: Duration = Duration::from_millis(2);
const WAIT_MAX: Duration = Duration::from_secs(120);

fn say(line: Value) {
	println!("{line}");
}

fn loopback() -> SocketAddr {
	(Ipv4Addr::LOCALHOST, 0).into()
}

#[tokio::main]
async fn main() -> Result<()> {
	say(json!({ "event": "loaded" }));
	let args: Vec<String> = env::args().skip(1).collect();
	match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
		["relay"] => relay().await,
		["write", relay, rows, rounds] => write(relay, rows, rounds.parse()?).await,
		["follow", relay, items, key, ref peers @ ..] => follow(relay, items.parse()?, key, peers).await,
		_ => Err("wrong arguments".into()),
	}
}

/// A relay that everybody reaches, and that nobody needs: members have direct addresses.
async fn relay() -> Result<()> {
	let mut config = ServerConfig::default();
	config.relay = Some(RelayConfig::new(loopback()));
	let server = Server::spawn(config).await?;
	let address = server.http_addr().ok_or("no address")?;
	say(json!({ "event": "ready", "address": format!("http://{address}") }));
	until_told(|| Value::Null).await
}

/// The first member: it writes each row once a round.
async fn write(relay: &str, rows: &str, rounds: u32) -> Result<()> {
	let network = join(relay, &[]).await?;
	let map = Map::<String, String>::writer(&network, StoreId::from("figures"));
	map.when().online().await;
	let address = serde_json::to_string(&network.local().addr())?;
	let text = fs::read_to_string(rows)?;
	let rows: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
	for round in 1..=rounds {
		for batch in rows.chunks(BATCH_ITEMS) {
			let entries = batch.iter().map(|(key, value)| (key.to_string(), format!("{value}{round}}}")));
			let version = map.extend(entries).await?;
			map.when().reaches(version).await;
		}
	}
	say(json!({ "event": "ready", "address": address }));
	serve(&map).await
}

/// A member that follows. It is in sync when it has the items that are expected, and answers a read.
async fn follow(relay: &str, items: usize, key: &str, peers: &[&str]) -> Result<()> {
	let peers = peers.iter().map(|peer| serde_json::from_str(peer)).collect::<std::result::Result<Vec<_>, _>>()?;
	let network = join(relay, &peers).await?;
	for peer in peers {
		network.discovery().sync_with(peer).await?;
	}
	let map = Map::<String, String>::reader(&network, StoreId::from("figures"));
	map.when().online().await;
	let began = Instant::now();
	while map.len() < items || map.get(key).is_none() {
		if began.elapsed() > WAIT_MAX {
			return Err(format!("{} of {items} items came", map.len()).into());
		}
		sleep(POLL).await;
	}
	let address = serde_json::to_string(&network.local().addr())?;
	say(json!({ "event": "ready", "address": address, "value": map.get(key), "items": map.len() }));
	serve(&map).await
}

async fn join(relay: &str, peers: &[EndpointAddr]) -> Result<Network> {
	let config = discovery::Config::builder().no_dht_bootstrap().with_bootstrap(peers.to_vec());
	let network = Network::builder(NetworkId::from("figures"))
		.with_relay_mode(RelayMode::custom([relay.parse()?]))
		.with_addresses([loopback()])
		.with_discovery(config)
		.build()
		.await?;
	Ok(network)
}

async fn serve<const WRITER: bool>(map: &Map<String, String, WRITER>) -> Result<()> {
	until_told(|| json!({ "event": "digest", "digest": digest(map), "items": map.len() })).await
}

/// Answer each line of the input. Its end is the end of the process.
async fn until_told(answer: impl Fn() -> Value) -> Result<()> {
	let mut lines = BufReader::new(stdin()).lines();
	while lines.next_line().await?.is_some() {
		say(answer());
	}
	std::process::exit(0)
}

/// SHA-256 of all items in the order of their keys' bytes: each key and each value, with a zero byte behind it.
fn digest<const WRITER: bool>(map: &Map<String, String, WRITER>) -> String {
	let mut items: Vec<_> = map.iter().collect();
	items.sort_unstable();
	let mut hash = Sha256::new();
	for (key, value) in items {
		for part in [key, value] {
			hash.update(part);
			hash.update([0]);
		}
	}
	hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
