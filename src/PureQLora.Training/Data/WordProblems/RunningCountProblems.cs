using System.Text;

namespace PureQLora.Training;

/// <summary>A count that goes up and down three to five times.</summary>
internal static class RunningCountProblems
{
    private static readonly string[] Ordinals = ["first", "second", "third", "fourth", "fifth"];

    public static WordProblem Compose(Story story) => story.Number(0, 2) switch
    {
        0 => Bus(story),
        1 => Shop(story),
        _ => Container(story),
    };

    private static WordProblem Bus(Story story)
    {
        string vehicle = story.Pick("bus", "train", "tram", "ferry");
        string place = story.Pick("market", "school", "harbor", "station", "museum", "hospital", "stadium", "airport", "castle", "university");
        int count = story.Number(10, 50);
        StringBuilder question = new($"A {vehicle} leaves the {place} with {count} people.");
        WorkedSolution solution = new();
        foreach (string stop in Ordinals.AsSpan(0, story.Number(3, 5)))
        {
            bool on = NextChange(story, count, out int change);
            question.Append(null, $" At the {stop} stop {change} people get {(on ? "on" : "off")}.");
            count = Change(solution, $"After the {stop} stop there are", count, change, on, "people");
        }

        return solution.Of(ProblemFamily.RunningCount, question.Append(null, $" How many people are on the {vehicle} now?").ToString());
    }

    private static WordProblem Shop(Story story)
    {
        Person ann = story.Person();
        Noun thing = story.Thing();
        int count = story.Number(10, 60);
        StringBuilder question = new($"{ann}'s shop has {count} {thing}.");
        WorkedSolution solution = new();
        string[] days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"];
        foreach (string day in days.AsSpan(0, story.Number(3, 5)))
        {
            bool bought = NextChange(story, count, out int change);
            question.Append(null, $" On {day} {ann} {(bought ? "buys" : "sells")} {change}.");
            count = Change(solution, $"On {day} the shop has", count, change, bought, thing.Many);
        }

        return solution.Of(ProblemFamily.RunningCount, question.Append(null, $" How many {thing} does the shop have then?").ToString());
    }

    private static WordProblem Container(Story story)
    {
        Noun thing = story.Thing();
        Noun box = story.Container();
        int count = story.Number(10, 60);
        StringBuilder question = new($"There are {count} {thing} in a {box.One}.");
        WorkedSolution solution = new();
        List<Person> people = [];
        for (int steps = story.Number(3, 5); steps > 0; steps--)
        {
            Person person = story.PersonBesides([.. people]);
            people.Add(person);
            bool added = NextChange(story, count, out int change);
            question.Append(null, $" {person} {(added ? "puts in" : "takes out")} {change}.");
            count = Change(solution, $"After {person} there are", count, change, added, thing.Many);
        }

        return solution.Of(ProblemFamily.RunningCount, question.Append(null, $" How many {thing} are in the {box.One} now?").ToString());
    }

    /// <summary>Draws how much the count changes and whether upwards; at least two stay, at most 99 gather.</summary>
    private static bool NextChange(Story story, int count, out int change)
    {
        bool up = count < 5 || (count < 75 && story.Number(0, 1) == 0);
        change = up ? story.Number(2, Math.Min(20, 99 - count)) : story.Number(2, Math.Min(30, count - 2));
        return up;
    }

    private static int Change(WorkedSolution solution, string lead, int count, int change, bool up, string unit) =>
        up ? solution.Add(lead, count, change, unit) : solution.Subtract(lead, count, change, unit);
}
