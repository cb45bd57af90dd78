package housework_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/netparts/netparts/housework"
	houseworkv1 "github.com/netparts/netparts/housework/v1"
)

// bookFile returns the definition of the book, as a client has it that was generated
// from it. It has the same names as ours, so it is registered nowhere.
func bookFile(t *testing.T) protoreflect.FileDescriptor {
	t.Helper()
	type (
		fieldType = descriptorpb.FieldDescriptorProto_Type
		label     = descriptorpb.FieldDescriptorProto_Label
	)
	const (
		optional = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		repeated = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	)
	field := func(name string, number int32, kind fieldType, l label, typeName string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind, Label: &l}
		if typeName != "" {
			f.TypeName = &typeName
		}
		return f
	}
	message := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
	}
	method := func(name, in, out string) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{Name: &name, InputType: &in, OutputType: &out}
	}
	f, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:    new("housework/v1/housework.proto"),
		Package: new("housework"),
		Syntax:  new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			message("Chore",
				field("complete", 1, descriptorpb.FieldDescriptorProto_TYPE_BOOL, optional, ""),
				field("description", 2, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, "")),
			message("Chores", field("chores", 1, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, repeated, ".housework.Chore")),
			message("CompleteRequest", field("chore_number", 1, descriptorpb.FieldDescriptorProto_TYPE_INT32, optional, "")),
			message("Empty"),
			message("Response", field("message", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, "")),
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("RobotMaid"),
			Method: []*descriptorpb.MethodDescriptorProto{
				method("Add", ".housework.Chores", ".housework.Response"),
				method("Complete", ".housework.CompleteRequest", ".housework.Response"),
				method("List", ".housework.Empty", ".housework.Chores"),
			},
		}},
	}, new(protoregistry.Files))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A book is the definition of the book, for making messages and calls.
type book struct{ file protoreflect.FileDescriptor }

func (b book) method(name string) protoreflect.MethodDescriptor {
	return b.file.Services().ByName("RobotMaid").Methods().ByName(protoreflect.Name(name))
}

// chores returns a message Chores.
func (b book) chores(chores ...housework.Chore) *dynamicpb.Message {
	m := dynamicpb.NewMessage(b.file.Messages().ByName("Chores"))
	list := m.Mutable(m.Descriptor().Fields().ByNumber(1)).List()
	for _, c := range chores {
		e := list.AppendMutable().Message()
		e.Set(e.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfBool(c.Complete))
		e.Set(e.Descriptor().Fields().ByNumber(2), protoreflect.ValueOfString(c.Description))
	}
	return m
}

// number returns a CompleteRequest.
func (b book) number(n int32) *dynamicpb.Message {
	m := dynamicpb.NewMessage(b.file.Messages().ByName("CompleteRequest"))
	m.Set(m.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfInt32(n))
	return m
}

// bookList returns what a message Chores says.
func bookList(m protoreflect.Message) (chores []housework.Chore) {
	list := m.Get(m.Descriptor().Fields().ByNumber(1)).List()
	for i := range list.Len() {
		e := list.Get(i).Message()
		fields := e.Descriptor().Fields()
		chores = append(chores, housework.Chore{
			Complete:    e.Get(fields.ByNumber(1)).Bool(),
			Description: e.Get(fields.ByNumber(2)).String(),
		})
	}
	return chores
}

// bookText returns the message of a Response.
func bookText(m protoreflect.Message) string {
	return m.Get(m.Descriptor().Fields().ByNumber(1)).String()
}

// The client of the book works unchanged.
func TestClientOfTheBook(t *testing.T) {
	b := book{bookFile(t)}
	rosie := &housework.Rosie{Store: new(housework.MemoryStore)}
	conn := rosieServe(t, func(s *grpc.Server) { rosie.Register(s) })
	call := func(name string, in proto.Message) (*dynamicpb.Message, error) {
		out := dynamicpb.NewMessage(b.method(name).Output())
		err := conn.Invoke(t.Context(), "/housework.RobotMaid/"+name, in, out)
		return out, err
	}
	empty := dynamicpb.NewMessage(b.file.Messages().ByName("Empty"))
	steps := []struct {
		method string
		in     proto.Message
		code   codes.Code
		text   string // of the response, or of the error
		list   string
	}{
		{"List", empty, codes.OK, "", "[]"},
		{"Add", b.chores(housework.Chore{Description: "Mop floors"}, housework.Chore{Description: "Wash dishes"}), codes.OK, "ok", ""},
		{"Complete", b.number(2), codes.OK, "ok", ""},
		{"List", empty, codes.OK, "", "[{false Mop floors } {true Wash dishes }]"},
		{"Complete", b.number(3), codes.NotFound, "chore 3 not found", ""},
		{"Complete", b.number(0), codes.NotFound, "chore 0 not found", ""},
		{"Complete", b.number(-1), codes.NotFound, "chore -1 not found", ""},
		{"Add", b.chores(), codes.OK, "ok", ""},
	}
	for _, s := range steps {
		out, err := call(s.method, s.in)
		switch st := status.Convert(err); {
		case st.Code() != s.code:
			t.Errorf("%s(%v) = %v, want %v", s.method, s.in, err, s.code)
		case err != nil && st.Message() != s.text:
			t.Errorf("%s(%v) = %q, want %q", s.method, s.in, st.Message(), s.text)
		case err != nil:
		case s.method == "List":
			if got := fmt.Sprint(bookList(out)); got != s.list {
				t.Errorf("List = %s, want %s", got, s.list)
			}
		case bookText(out) != s.text:
			t.Errorf("%s(%v) = %v, want %q", s.method, s.in, out, s.text)
		}
	}
}

// bookServer serves the definition of the book as the book does it: errors have no
// codes, and all chores are one message.
func bookServer(b book) grpc.ServerOption {
	var mu sync.Mutex
	var chores []housework.Chore
	answer := func(name string, in *dynamicpb.Message) (proto.Message, error) {
		mu.Lock()
		defer mu.Unlock()
		ok := dynamicpb.NewMessage(b.file.Messages().ByName("Response"))
		ok.Set(ok.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfString("ok"))
		switch name {
		case "Add":
			chores = append(chores, bookList(in)...)
		case "Complete":
			n := int(in.Get(in.Descriptor().Fields().ByNumber(1)).Int())
			if n < 1 || n > len(chores) {
				return nil, fmt.Errorf("chore %d not found", n)
			}
			chores[n-1].Complete = true
		case "List":
			return b.chores(chores...), nil
		}
		return ok, nil
	}
	return grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		full, _ := grpc.MethodFromServerStream(stream)
		name, _ := strings.CutPrefix(full, "/housework.RobotMaid/")
		in := dynamicpb.NewMessage(b.method(name).Input())
		if err := stream.RecvMsg(in); err != nil {
			return err
		}
		out, err := answer(name, in)
		if err != nil {
			return err
		}
		return stream.SendMsg(out)
	})
}

// The generated client works with the server of the book, which knows no request ids
// and no pages.
func TestServerOfTheBook(t *testing.T) {
	conn := rosieServe(t, func(*grpc.Server) {}, bookServer(book{bookFile(t)}))
	client := houseworkv1.NewRobotMaidClient(conn)
	added, err := client.Add(t.Context(), rosieRequest("abc", "Mop floors", "Wash dishes"))
	if err != nil || added.GetMessage() != "ok" || added.GetFirstNumber() != 0 {
		t.Errorf("Add = %v, %v, want ok and no number", added, err)
	}
	if _, err := client.Complete(t.Context(), houseworkv1.CompleteRequest_builder{ChoreNumber: 2}.Build()); err != nil {
		t.Error(err)
	}
	page, err := client.List(t.Context(), houseworkv1.ListRequest_builder{FirstNumber: 1, PageSize: 10}.Build())
	want := rosieRequest("", "Mop floors", "Wash dishes")
	want.GetChores()[1].SetComplete(true)
	if err != nil || !proto.Equal(page, want) {
		t.Errorf("List = %v, %v, want %v", page, err, want)
	}
	_, err = client.Complete(t.Context(), houseworkv1.CompleteRequest_builder{ChoreNumber: 3}.Build())
	got, ok := errors.AsType[*housework.ChoreError](housework.FromStatus(err))
	if !ok || got.Number != 3 || !errors.Is(got, housework.ErrNotFound) {
		t.Errorf("Complete = %v, want chore 3 not found", err)
	}
}

// The bytes on the wire are those of the book, for the messages that the book has.
func TestBytesOfTheBook(t *testing.T) {
	b := book{bookFile(t)}
	const (
		added  = "0a0c120a4d6f7020666c6f6f72730a0d120b5761736820646973686573"
		listed = "0a0c120a4d6f7020666c6f6f72730a0f0801120b5761736820646973686573"
	)
	marshal := proto.MarshalOptions{Deterministic: true}
	ours := rosieRequest("", "Mop floors", "Wash dishes")
	done := proto.CloneOf(ours)
	done.GetChores()[1].SetComplete(true)
	for _, tt := range []struct {
		name       string
		ours, book proto.Message
		want       string
	}{
		{"Chores to Add", ours, b.chores(housework.Chore{Description: "Mop floors"}, housework.Chore{Description: "Wash dishes"}), added},
		{"Chores of List", done, b.chores(housework.Chore{Description: "Mop floors"}, housework.Chore{Complete: true, Description: "Wash dishes"}), listed},
		{"CompleteRequest", houseworkv1.CompleteRequest_builder{ChoreNumber: 2}.Build(), b.number(2), "0802"},
		{"CompleteRequest of -1", houseworkv1.CompleteRequest_builder{ChoreNumber: -1}.Build(), b.number(-1), "08ffffffffffffffffff01"},
		{"ListRequest and Empty", &houseworkv1.ListRequest{}, dynamicpb.NewMessage(b.file.Messages().ByName("Empty")), ""},
	} {
		for side, m := range map[string]proto.Message{"ours": tt.ours, "the book's": tt.book} {
			got, err := marshal.Marshal(m)
			if err != nil || hex.EncodeToString(got) != tt.want {
				t.Errorf("%s: %s is %x, %v, want %s", tt.name, side, got, err, tt.want)
			}
		}
	}

	conn := rosieServe(t, func(s *grpc.Server) {
		(&housework.Rosie{Store: new(housework.MemoryStore)}).Register(s)
	})
	for _, tt := range []struct{ method, request, want string }{
		{"Add", added, "0a026f6b1801"}, // "ok", and field 3 is new
		{"Complete", "0802", "0a026f6b"},
		{"List", "", listed},
	} {
		in, err := hex.DecodeString(tt.request)
		if err != nil {
			t.Fatal(err)
		}
		out, err := guardCall(t.Context(), conn, tt.method, in)
		if err != nil || hex.EncodeToString(out) != tt.want {
			t.Errorf("%s(%s) = %x, %v, want %s", tt.method, tt.request, out, err, tt.want)
		}
	}
}
