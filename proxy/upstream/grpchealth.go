package upstream

import (
	"encoding/binary"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
)

// The question of the gRPC health checking protocol, about the server as a whole: an empty
// HealthCheckRequest in a message frame. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
const (
	grpcCheckPath    = "/grpc.health.v1.Health/Check"
	grpcCheckMessage = "\x00\x00\x00\x00\x00"
)

// grpcServing is HealthCheckResponse.ServingStatus.SERVING.
const grpcServing = 1

// judgeGRPC returns why the answer to a gRPC health check speaks against the server.
func judgeGRPC(response *http.Response, body []byte) error {
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", response.Status)
	}
	status, message := response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	if status == "" { // a response of trailers alone
		status, message = response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	}
	switch status {
	case "0":
	case "":
		return fmt.Errorf("the server's answer to the gRPC health check has no grpc-status")
	case "12":
		return fmt.Errorf("the server does not have the gRPC health service grpc.health.v1.Health (grpc-status 12)")
	default:
		return fmt.Errorf("the server answered the gRPC health check with grpc-status %.20q, %.200q", status, message)
	}
	serving, err := servingStatus(body)
	if err != nil {
		return fmt.Errorf("the server's answer to the gRPC health check: %w", err)
	}
	if serving != grpcServing {
		return fmt.Errorf("the server says it is not serving (status %d)", serving)
	}
	return nil
}

// servingStatus reads field 1 of the HealthCheckResponse in a message frame.
func servingStatus(frame []byte) (status uint64, err error) {
	if len(frame) < 5 || frame[0] != 0 || uint64(binary.BigEndian.Uint32(frame[1:])) != uint64(len(frame)-5) {
		return 0, fmt.Errorf("not one uncompressed message: %.40q", frame)
	}
	for b := frame[5:]; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		b = b[n:]
		if number == 1 && kind == protowire.VarintType {
			status, n = protowire.ConsumeVarint(b)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		b = b[n:]
	}
	return status, nil
}
