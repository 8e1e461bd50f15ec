module seatrial.dev/dev/go/pause

go 1.26.0
