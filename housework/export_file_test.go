package housework

// Queued returns how many changes wait for a commit.
func (s *FileStore) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}
