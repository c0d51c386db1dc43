package explain

func (s *telling) zombieCommit() {
	f := s.f
	older, newer := s.op(f.Later.Row), s.op(f.Earlier.Row)
	id := older.Txn
	if id == "" {
		id = "a producer without a transactional id"
	}
	s.in.Writer = s.indexOf(f.Later.Row)
	s.message("%s sent as %s with epoch %d of producer id %d, though epoch %d of producer id %d had been granted", s.actor(f.Later.Row), id, older.ProducerEpoch, older.Producer, newer.ProducerEpoch, newer.Producer)
	s.prove("%s held epoch %d of producer id %d%s", s.actor(f.Earlier.Row), newer.ProducerEpoch, newer.Producer, s.ended(f.Earlier.Row))
	s.prove("so what a producer begins afterwards with an older one must be refused (INVALID_PRODUCER_EPOCH, PRODUCER_FENCED)")
	s.prove("%s began %s with epoch %d of producer id %d and took effect: contradiction", s.actor(f.Later.Row), s.began(f.Later.Row), older.ProducerEpoch, older.Producer)
}

func (s *telling) commitOrder() {
	f := s.f
	s.message("a transaction of group %s set its committed offset of %s from %d back to %d", f.Name, s.partition(f.Key), f.Earlier.Offset, f.Later.Offset)
	s.prove("%s committed offset %d in a transaction%s", s.actor(f.Earlier.Row), f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("so the next transaction that processes %s begins there, and commits no less", s.partition(f.Key))
	s.prove("%s began %s, and committed offset %d: contradiction", s.actor(f.Later.Row), s.began(f.Later.Row), f.Later.Offset)
}
