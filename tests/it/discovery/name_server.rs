//! A scripted name server: it fails in the ways in which a real one would have to be broken.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR},
    },
    serialize::binary::{BinDecodable, BinEncodable},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

use super::dnsmasq::SERVICE;

/// How it answers.
#[derive(Clone, Debug)]
pub enum Mood {
    /// The hosts: names below the service, and addresses.
    Hosts(Vec<(&'static str, IpAddr)>),
    /// The same over TCP only.
    Truncated(Vec<(&'static str, IpAddr)>),
    /// The same, and nothing of what the addresses are called.
    Nameless(Vec<(&'static str, IpAddr)>),
    /// This code, whatever is asked.
    Code(ResponseCode),
    /// The name is there, and has no address.
    Empty,
    /// Not at all.
    Silent,
    /// What is no message.
    Garbage,
}

/// A running one. It ends when it is dropped.
pub struct NameServer {
    mood: Arc<Mutex<Mood>>,
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl NameServer {
    pub async fn start(mood: Mood) -> Self {
        let (udp, tcp) = bind().await;
        let address = tcp.local_addr().expect("bound");
        let mood = Arc::new(Mutex::new(mood));
        let mut tasks = JoinSet::new();
        let moods = mood.clone();
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                let answer = answer(&moods.lock().unwrap(), &buffer[..length], true);
                if let Some(answer) = answer {
                    let _ = udp.send_to(&answer, from).await;
                }
            }
        });
        let moods = mood.clone();
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = tcp.accept().await {
                talks.spawn(talk(stream, moods.clone()));
            }
        });
        Self { mood, address, _tasks: tasks }
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

/// One port for both.
async fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")).await {
            return (udp, tcp);
        }
    }
}

async fn talk(mut stream: TcpStream, mood: Arc<Mutex<Mood>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let answer = answer(&mood.lock().unwrap(), &question, false);
        let Some(answer) = answer else { continue };
        let length = u16::try_from(answer.len()).expect("small");
        if stream.write_u16(length).await.is_err() || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answer(mood: &Mood, question: &[u8], udp: bool) -> Option<Vec<u8>> {
    let question = Message::from_bytes(question).expect("a question");
    let query = question.queries.first().expect("one question").clone();
    let mut answer = question.clone();
    answer.additionals.clear();
    answer.metadata.message_type = MessageType::Response;
    match mood {
        Mood::Silent => return None,
        Mood::Garbage => return Some(question.metadata.id.to_be_bytes().to_vec()),
        Mood::Code(code) => answer.metadata.response_code = *code,
        Mood::Empty => {}
        Mood::Truncated(_) if udp && query.query_type() == RecordType::A => answer.metadata.truncation = true,
        Mood::Nameless(_) if query.query_type() == RecordType::PTR => {
            answer.metadata.response_code = ResponseCode::ServFail
        }
        Mood::Hosts(hosts) | Mood::Truncated(hosts) | Mood::Nameless(hosts) => {
            let data = hosts.iter().filter_map(|(name, ip)| match (query.query_type(), ip) {
                (RecordType::A, IpAddr::V4(ip)) => Some(RData::A(A(*ip))),
                (RecordType::AAAA, IpAddr::V6(ip)) => Some(RData::AAAA(AAAA(*ip))),
                (RecordType::PTR, ip) if Name::from(*ip) == *query.name() => {
                    Some(RData::PTR(PTR(Name::from_ascii(format!("{name}.{SERVICE}.")).expect("a name"))))
                }
                _ => None,
            });
            let records = data.map(|data| Record::from_rdata(query.name().clone(), 0, data));
            answer.add_answers(records.collect::<Vec<_>>());
        }
    }
    Some(answer.to_bytes().expect("a message"))
}
