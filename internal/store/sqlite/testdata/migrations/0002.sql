-- Rows as version 2 wrote them.
INSERT INTO verifications (seq, id, app, spec, sealed, status, attempts, expires, state) VALUES
  (115999837083009024, x'019c1d3cbb560000800000000000000a', x'019c1d3cbb560000800000000000000b',
   '{"number":"AQIDBAUGBwgJCgsMDQ4PEA==","masked":"+44•••••••123","country":"GB","prefix":"+44770090","purpose":"login","created":"2026-11-23T08:00:00Z","nonce":"AQIDBAUGBwgJCgsMDQ4PEA==","key":1,"code_length":6,"alphabet":"digits","max_attempts":5,"max_sends":5}',
   x'00', 1, 2, 1795420800000, '{"s":1,"c":"sms","d":[]}');
INSERT INTO numbers (key, data, touched) VALUES (x'0102030405060708090a0b0c0d0e0f10', '{"k":3,"l":1795420700000}', 1795420700000);
INSERT INTO applications (id, data) VALUES (x'019c1d3cbb560000800000000000000b', '{"name":"shop","brand":"Shop"}');
