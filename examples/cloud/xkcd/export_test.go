package xkcd

import "net/http"

// SetHTTPClient lets a test be the network.
func (s *Service) SetHTTPClient(c *http.Client) { s.feed.HTTPClient = c }
