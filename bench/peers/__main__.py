"""Try."""
import argparse, asyncio, logging, sys, json
from bench import workload
from bench.__main__ import prepare
from bench.stack import servers
from bench.peers import answers
from bench.peers.peers import PEERS
from bench.peers.race import race, read
from tepat_demo import oracle

async def go(a):
    with servers() as at:
        await prepare(at, a.payouts, a.households)
        found = {}
        for name in a.only.split(','):
            r = await race(at, PEERS[name], a.payouts)
            print(json.dumps(r, indent=1))
            found[name] = answers.fold(await read(at.kafka, PEERS[name].topic("overlaps")))
            print(len(await read(at.kafka, PEERS[name].topic("dead-letters"))), "dead letters")
        records = (oracle.Record(workload.TOPIC, 0, o, (), v) for o, (_, v) in enumerate(workload.payouts(a.payouts, a.households)))
        should = answers.of_announcements(oracle.expected(records, workload.POLICY, (at.home/"secrets"/"main").read_bytes()).overlaps)
        for name, f in found.items():
            d = answers.differences(f, should)
            print(name, len(f), len(should), len(d), d[:5])
p = argparse.ArgumentParser(); p.add_argument("--payouts", type=int, default=50000); p.add_argument("--households", type=int, default=30000); p.add_argument("--only", default="kafka-streams")
logging.getLogger("aiokafka").setLevel(logging.ERROR)
asyncio.run(go(p.parse_args()))
