package controllers

import (
	"testing"
	"time"
)

func TestAQuestionIsAskedLessAndLessOftenWhileNothingChanges(t *testing.T) {
	t.Parallel()
	i, now := inquiry{}, noon
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		want *= time.Second
		due, again := i.due("the same", now)
		if !due || again != want {
			t.Errorf("at %s: due %t, again in %s; want it due, and again in %s", now.Sub(noon), due, again, want)
		}
		for _, early := range []time.Duration{0, want / 2, want - 1} {
			if due, again := i.due("the same", now.Add(early)); due || again != want-early {
				t.Errorf("%s after it was asked: due %t, again in %s", early, due, again)
			}
		}
		now = now.Add(want)
	}
}

func TestAQuestionThatIsPromptedAnewIsAskedWithinASecond(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		asked int           // times for the same prompt
		after time.Duration // the last of them the prompt changes
		want  time.Duration // until it may be asked
	}{
		"never asked":              {},
		"asked just now":           {asked: 1, want: statusInterval},
		"asked often, just now":    {asked: 10, want: statusInterval},
		"asked half a second ago":  {asked: 10, after: statusInterval / 2, want: statusInterval / 2},
		"asked half a minute ago":  {asked: 10, after: 30 * time.Second},
		"asked an hour ago, twice": {asked: 2, after: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, now := inquiry{}, noon
			for asked := 0; asked < test.asked; asked++ {
				if _, again := i.due("old", now); asked < test.asked-1 {
					now = now.Add(again)
				}
			}
			now = now.Add(test.after)
			due, again := i.due("new", now)
			if due != (test.want == 0) || !due && again != test.want {
				t.Errorf("due %t, again in %s; want it in %s", due, again, test.want)
			}
			if !due {
				if due, again = i.due("new", now.Add(again)); !due {
					t.Errorf("when it said: not due for %s", again)
				}
			}
			if again != statusInterval && test.asked != 1 {
				t.Errorf("then again in %s, want it to begin with %s anew", again, statusInterval)
			}
		})
	}
}

// However often its prompt changes, a request is made once a second at most.
func TestAQuestionIsAskedAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	i, asked := inquiry{}, 0
	const changes = 1000
	for change := range changes { // in ten seconds
		if due, _ := i.due(change, noon.Add(time.Duration(change)*10*time.Millisecond)); due {
			asked++
		}
	}
	if asked < 5 || asked > 10 {
		t.Errorf("asked %d times in ten seconds of %d changes, want no more than once a second, and not much less", asked, changes)
	}
}
