package main

func randomGroup(s *session, steps int) {}
