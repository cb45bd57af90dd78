package sockets

// SearchMTU is the search without a network.
var SearchMTU = search
