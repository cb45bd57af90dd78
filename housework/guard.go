package housework

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"

	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// robotMaid is the service as the generated code describes it, but for its handlers:
// they look at a request before they make messages of it.
var robotMaid = grpc.ServiceDesc{
	ServiceName: houseworkv1.RobotMaid_ServiceDesc.ServiceName,
	HandlerType: houseworkv1.RobotMaid_ServiceDesc.HandlerType,
	Metadata:    houseworkv1.RobotMaid_ServiceDesc.Metadata,
	Methods: []grpc.MethodDesc{
		method(houseworkv1.RobotMaid_Add_FullMethodName, (*Rosie).Add, decodeAdd),
		method(houseworkv1.RobotMaid_Complete_FullMethodName, (*Rosie).Complete, decodeComplete),
		method(houseworkv1.RobotMaid_List_FullMethodName, (*Rosie).List, decodeList),
	},
}

// method describes a method of the service. Decode fills in what an encoded request says,
// or returns why a service that takes so many chores in a call refuses it.
func method[Message, Out any, In interface {
	*Message
	proto.Message
}](name string, call func(*Rosie, context.Context, In) (Out, error), decode decoder[In],
) grpc.MethodDesc {
	handle := func(srv any, ctx context.Context, receive func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		r, in := srv.(*Rosie), In(new(Message))
		g := &guarded[In]{Message: in.ProtoReflect(), in: in, decode: decode, limit: r.maxAdd()}
		if err := receive(g); err != nil {
			return nil, err
		}
		if interceptor == nil && g.err == nil {
			return call(r, ctx, in)
		}
		handler := func(ctx context.Context, in any) (any, error) {
			if g.err != nil {
				return nil, toStatus(g.err)
			}
			return call(r, ctx, in.(In))
		}
		if interceptor == nil {
			return handler(ctx, in)
		}
		// Those that log or authorise see also the calls that are refused, with an empty
		// request.
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: name}, handler)
	}
	return grpc.MethodDesc{MethodName: path.Base(name), Handler: handle}
}

// A decoder decodes data into an empty message. If it returns an error, it has left
// that empty.
type decoder[In proto.Message] func(data []byte, limit int, into In) error

// A guarded message has a decoder of its own. It stands in for the message where gRPC
// decodes, as only there the bytes can be seen.
type guarded[In proto.Message] struct {
	protoreflect.Message

	in     In
	decode decoder[In]
	limit  int
	err    error // of decode; of one that Unmarshal returns gRPC would make Internal
}

// ProtoReflect implements proto.Message.
func (g *guarded[In]) ProtoReflect() protoreflect.Message { return g }

// Interface implements protoreflect.Message.
func (g *guarded[In]) Interface() protoreflect.ProtoMessage { return g }

// Reset is what package proto calls first. The message is empty.
func (g *guarded[In]) Reset() {}

// ProtoMethods implements protoreflect.Message.
func (g *guarded[In]) ProtoMethods() *protoiface.Methods { return &guardedMethods }

func (g *guarded[In]) unmarshal(data []byte) { g.err = g.decode(data, g.limit, g.in) }

var guardedMethods = protoiface.Methods{
	Flags: protoiface.SupportUnmarshalDiscardUnknown,
	Unmarshal: func(in protoiface.UnmarshalInput) (protoiface.UnmarshalOutput, error) {
		in.Message.(interface{ unmarshal(data []byte) }).unmarshal(in.Buf)
		return protoiface.UnmarshalOutput{Flags: protoiface.UnmarshalInitialized}, nil
	},
}

// decodeAdd decodes a message Chores. It allocates nothing for a chore before it knows
// that all are within the limits.
func decodeAdd(data []byte, limit int, into *houseworkv1.Chores) error {
	n := 0
	var invalid error // the first one; that they are too many comes before
	list, err := scanChores(data, skipUnknown, func(c wireChore) error {
		n++
		if n > limit {
			return &tooManyError{limit}
		}
		if size := len(c.description); invalid == nil && (size == 0 || size > MaxDescription) {
			invalid = &ChoreError{Number: n, Err: validateDescription(string(c.description))}
		}
		return nil
	})
	if err != nil {
		return malformed(err)
	}
	requestID := string(list.requestID)
	if err := cmp.Or(validateRequestID(requestID), invalid); err != nil {
		return err
	}
	into.SetRequestId(requestID)
	chores := newChores(n)
	into.SetChores(chores)
	_, err = scanChores(data, skipUnknown, func(c wireChore) error {
		chores[0].SetComplete(c.complete)
		chores[0].SetDescription(string(c.description))
		chores = chores[1:]
		return nil
	})
	return err
}

// newChores returns n empty chores, which are one allocation.
func newChores(n int) []*houseworkv1.Chore {
	slab, list := make([]houseworkv1.Chore, n), make([]*houseworkv1.Chore, n)
	for i := range slab {
		list[i] = &slab[i]
	}
	return list
}

// decodeComplete decodes a CompleteRequest. The generated code takes time and memory that
// grow with the square of the size, if more_numbers comes in many parts.
func decodeComplete(data []byte, limit int, into *houseworkv1.CompleteRequest) error {
	const (
		fieldChoreNumber protowire.Number = 1
		fieldMoreNumbers protowire.Number = 3
	)
	var number int32
	var more []int32
	r := wireReader{data: data}
	for len(r.data) > 0 {
		f, err := r.next()
		if err != nil {
			return malformed(err)
		}
		switch {
		case f.is(fieldChoreNumber, protowire.VarintType):
			number = int32(f.varint) // truncated, as the specification says
		case f.is(fieldMoreNumbers, protowire.VarintType):
			more = append(more, int32(f.varint))
		case f.is(fieldMoreNumbers, protowire.BytesType):
			for rest := f.bytes; len(rest) > 0 && len(more) <= limit; {
				v, n := protowire.ConsumeVarint(rest)
				if n < 0 {
					return malformed(wireError(f.offset, errors.New("malformed number")))
				}
				more, rest = append(more, int32(v)), rest[n:]
			}
		}
		if len(more) > limit {
			return &tooManyError{limit}
		}
	}
	into.SetChoreNumber(number)
	into.SetMoreNumbers(more)
	return nil
}

// decodeList decodes a ListRequest, whatever the limit. To keep fields that it does not
// know would be of no use to the service, and takes more memory than they have.
func decodeList(data []byte, _ int, into *houseworkv1.ListRequest) error {
	decode := proto.UnmarshalOptions{DiscardUnknown: true}
	if decode.Unmarshal(data, into) != nil {
		proto.Reset(into)
		return fmt.Errorf("%w: malformed message", ErrInvalid) // the texts differ from build to build
	}
	return nil
}

// malformed returns what a client is told of an error of the scanner. Others stay as
// they are.
func malformed(err error) error {
	if e, ok := errors.AsType[*FormatError](err); ok {
		return fmt.Errorf("%w: message: offset %d: %w", ErrInvalid, e.Offset, e.Err)
	}
	return err
}
