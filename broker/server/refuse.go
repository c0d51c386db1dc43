package server

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The answers to admin requests are alike: an error for the whole, or one for
// each thing that was asked for, which the answer names as the request did.
// What follows goes by the names of their fields.

// notController reports whether a controller says that it is not the active
// one, be it of the first thing that was asked for.
func notController(resp kmsg.Response) bool {
	code := firstError(reflect.ValueOf(resp).Elem())
	_, ofQuorum := resp.(*kmsg.DescribeQuorumResponse)
	return code == kerr.NotController.Code || ofQuorum && code == kerr.NotLeaderForPartition.Code
}

func firstError(v reflect.Value) int16 {
	if f := v.FieldByName("ErrorCode"); f.IsValid() && f.Int() != 0 {
		return int16(f.Int())
	}
	for _, name := range []string{"Topics", "Resources", "Partitions"} {
		if list := v.FieldByName(name); list.IsValid() && list.Len() > 0 && list.Index(0).Kind() == reflect.Struct {
			return firstError(list.Index(0))
		}
	}
	return 0
}

// refuse answers an admin request with one error for all that it asks for.
func refuse(req kmsg.Request, because error) kmsg.Response {
	resp := req.ResponseKind()
	if r, ok := resp.(interface{ Default() }); ok {
		r.Default()
	}
	v := reflect.ValueOf(resp).Elem()
	whole := setError(v, because)
	asked := reflect.ValueOf(req).Elem()
	switch req := req.(type) {
	case *kmsg.ElectLeadersRequest: // version 0 has no error for the whole
		for _, t := range req.Topics {
			topic := kmsg.NewElectLeadersResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewElectLeadersResponseTopicPartition()
				partition.Partition = p
				partition.ErrorCode, partition.ErrorMessage = errorOf(because)
				topic.Partitions = append(topic.Partitions, partition)
			}
			resp := resp.(*kmsg.ElectLeadersResponse)
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.DeleteTopicsRequest: // before version 6 they are names alone
		for _, name := range req.TopicNames {
			topic := kmsg.NewDeleteTopicsRequestTopic()
			topic.Topic = ptr(name)
			req.Topics = append(req.Topics, topic)
		}
	}
	for _, name := range []string{"Topics", "Resources"} {
		if list := v.FieldByName(name); list.IsValid() && !whole {
			list.Set(refuseEach(asked.FieldByName(name), list.Type(), because))
			return resp
		}
	}
	if !whole {
		panic("server: no way to refuse " + kmsg.NameForKey(req.Key()))
	}
	return resp
}

// refuseEach is an answer for each thing asked, with the fields that both have.
func refuseEach(asked reflect.Value, answers reflect.Type, because error) reflect.Value {
	out := reflect.MakeSlice(answers, asked.Len(), asked.Len())
	for i := range asked.Len() {
		from, to := asked.Index(i), out.Index(i)
		to.Addr().Interface().(interface{ Default() }).Default()
		for j := range to.NumField() {
			field := to.Type().Field(j)
			if f := from.FieldByName(field.Name); f.IsValid() && f.Type() == field.Type && field.Name != "UnknownTags" {
				to.Field(j).Set(f)
			}
		}
		setError(to, because)
	}
	return out
}

// setError fills in the error of an answer, or of a part of it, if it has a
// field for one.
func setError(v reflect.Value, err error) bool {
	code, message := errorOf(err)
	f := v.FieldByName("ErrorCode")
	if !f.IsValid() {
		return false
	}
	f.SetInt(int64(code))
	if f := v.FieldByName("ErrorMessage"); f.IsValid() {
		f.Set(reflect.ValueOf(message))
	}
	return true
}
