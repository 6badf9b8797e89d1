package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strconv"
)

func main() {
	var numbers []float64
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if number, err := strconv.ParseFloat(lines.Text(), 64); err == nil {
			numbers = append(numbers, number)
		}
	}
	sort.Float64s(numbers)
	fmt.Println(numbers[len(numbers)/2])
}
