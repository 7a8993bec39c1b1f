// An SMSC on the npm package smpp, for the tests: node smsc.js PORT JOURNAL
//
// It writes each message down before it answers, and each receipt that was acknowledged, so that after a kill -9 it
// goes on where it was: receipts that nobody has acknowledged are sent again to whoever binds. Answers have the id in
// hexadecimal; receipts by text in decimal, receipts by parameters in hexadecimal. It ends when its stdin ends.
'use strict';
const fs = require('fs');
const smpp = require('smpp');

const [port, journal] = process.argv.slice(2);
const open = new Map(); // id -> submit_sm, as far as it matters for the receipt
let last = 0;
for (const line of fs.existsSync(journal) ? fs.readFileSync(journal, 'utf8').split('\n') : []) {
  if (!line) continue;
  const e = JSON.parse(line);
  last = Math.max(last, e.n || 0);
  if (e.text !== undefined && e.registered) open.set(e.id, e);
  if (e.receipt) open.delete(e.receipt);
}
const write = (e) => fs.appendFileSync(journal, JSON.stringify(e) + '\n');

function receipt(session, e) {
  const deliver = { source_addr: e.to, destination_addr: e.from, esm_class: 4 };
  const number = parseInt(e.id, 16);
  const text = `id:${number} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:${e.text.slice(0, 20)}`;
  if (e.n % 3 !== 0) Object.assign(deliver, { receipted_message_id: e.id, message_state: 2 });
  if (e.n % 3 !== 1) deliver.short_message = text;
  session.deliver_sm(deliver, (answer) => {
    if (answer.command_status !== 0) return setTimeout(() => receipt(session, e), 20);
    if (open.delete(e.id)) write({ receipt: e.id });
  });
}

const server = smpp.createServer((session) => {
  session.on('error', () => session.destroy());
  session.on('bind_transceiver', (pdu) => {
    if (pdu.system_id !== 'dialproof' || pdu.password !== 'pa55word') {
      session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      return session.close();
    }
    session.send(pdu.response({ system_id: 'npm' }));
    for (const e of open.values()) receipt(session, e);
  });
  session.on('submit_sm', (pdu) => {
    const n = ++last;
    const e = {
      n, id: (0x5f000000 + n).toString(16), text: pdu.short_message.message, udh: (pdu.short_message.udh || []).map((b) => b.toString('hex')),
      from: pdu.source_addr, to: pdu.destination_addr, coding: pdu.data_coding, registered: pdu.registered_delivery,
    };
    write(e);
    session.send(pdu.response({ message_id: e.id }));
    if (e.registered) {
      open.set(e.id, e);
      receipt(session, e);
    }
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
process.stdin.on('end', () => process.exit(0)).resume();
