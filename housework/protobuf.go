package housework

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// decodeProtobuf decodes a message Chores.
func decodeProtobuf(data []byte) ([]Chore, error) {
	// Counting first costs less than to grow the list, and one text for all chores
	// less than one for each.
	chores := make([]Chore, 0, countFields(data))
	text := string(data)
	_, err := scanChores(data, refuseUnknown, func(c wireChore) error {
		chores = append(chores, Chore{
			Complete:    c.complete,
			Description: text[c.descriptionEnd-len(c.description) : c.descriptionEnd],
			RequestID:   text[c.requestIDEnd-len(c.requestID) : c.requestIDEnd],
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return chores, nil
}

// countFields returns how many fields data has, up to the first that is malformed.
func countFields(data []byte) int {
	n := 0
	for r := (wireReader{data: data}); len(r.data) > 0; n++ {
		if _, err := r.next(); err != nil {
			break
		}
	}
	return n
}

// encodeProtobuf encodes a message Chores: the bytes that the generated code writes,
// without a message for each chore.
func encodeProtobuf(w *listWriter, chores []Chore) error {
	size := 0
	for i := range chores {
		size += protowire.SizeTag(fieldChores) + protowire.SizeBytes(wireSize(&chores[i]))
	}
	data := make([]byte, 0, size)
	for i := range chores {
		data = protowire.AppendTag(data, fieldChores, protowire.BytesType)
		data = protowire.AppendVarint(data, uint64(wireSize(&chores[i])))
		data = appendChore(data, &chores[i])
	}
	_, err := w.Write(data)
	return err
}

// wireSize returns how many bytes appendChore appends.
func wireSize(c *Chore) int {
	size := 0
	if c.Complete {
		size += protowire.SizeTag(fieldComplete) + protowire.SizeVarint(1)
	}
	if c.Description != "" {
		size += protowire.SizeTag(fieldDescription) + protowire.SizeBytes(len(c.Description))
	}
	if c.RequestID != "" {
		size += protowire.SizeTag(fieldRequestID) + protowire.SizeBytes(len(c.RequestID))
	}
	return size
}

// appendChore appends a message Chore. As in all of proto3, a field that has the zero
// value is left out.
func appendChore(data []byte, c *Chore) []byte {
	if c.Complete {
		data = protowire.AppendTag(data, fieldComplete, protowire.VarintType)
		data = protowire.AppendVarint(data, 1)
	}
	if c.Description != "" {
		data = protowire.AppendTag(data, fieldDescription, protowire.BytesType)
		data = protowire.AppendString(data, c.Description)
	}
	if c.RequestID != "" {
		data = protowire.AppendTag(data, fieldRequestID, protowire.BytesType)
		data = protowire.AppendString(data, c.RequestID)
	}
	return data
}
