namespace PureQLora.Training;

/// <summary>Minutes.</summary>
internal static class TimingProblems
{
    private static readonly Noun[] Crafts = Story.Nouns("poster", "mask", "kite", "card", "basket", "bracelet", "puppet", "wreath", "sign", "drawing");

    public static WordProblem Compose(Story story)
    {
        Person ann = story.Person();
        Noun craft = story.Pick(Crafts);
        string activity = story.Pick("reads", "draws", "runs", "swims", "sings", "plays", "paints", "cooks");
        (int each, int times) = (story.Number(2, 12), story.Number(2, 12));
        WorkedSolution solution = new();
        switch (story.Number(0, 5))
        {
            case 0:
                solution.Multiply($"The {craft} take", times, each, "minutes");
                return solution.Of(ProblemFamily.Timing, $"It takes {ann} {each} minutes to make one {craft.One}. How many minutes does {ann} need for {times} {craft}?");
            case 1:
                (string first, string second) = story.TwoOf("the park", "the library", "the school", "the market", "the station", "the museum", "the lake", "the bakery");
                (int a, int b) = (story.Number(2, 50), story.Number(2, 50));
                solution.Add($"{ann} walks for", a, b, "minutes");
                return solution.Of(ProblemFamily.Timing, $"{ann} walks {a} minutes to {first} and then {b} minutes to {second}. How many minutes does {ann} walk in all?");
            case 2:
                solution.Multiply($"{ann} {activity} for", times, each, "minutes");
                return solution.Of(ProblemFamily.Timing, $"{ann} {activity} for {each} minutes every day. For how many minutes does {ann} {activity[..^1]} in {times} days?");
            case 3:
                solution.Divide($"{ann} can make", each * times, each, craft.Many);
                return solution.Of(ProblemFamily.Timing, $"{ann} has {each * times} minutes. One {craft.One} takes {ann.Her} {each} minutes. How many {craft} can {ann} make?");
            case 4:
                int length = story.Number(20, 99);
                int passed = story.Number(2, length - 2);
                string show = story.Pick("film", "lesson", "game", "concert", "train ride");
                solution.Subtract($"The {show} still lasts", length, passed, "minutes");
                return solution.Of(ProblemFamily.Timing, $"{ann}'s {show} lasts {length} minutes. {passed} minutes have passed. How many minutes are left?");
            default:
                (int today, int longer) = (story.Number(5, 60), story.Number(2, 30));
                solution.Add($"Tomorrow {ann} {activity} for", today, longer, "minutes");
                return solution.Of(ProblemFamily.Timing, $"Today {ann} {activity} for {today} minutes. Tomorrow {ann.She} {activity} {longer} minutes longer. For how many minutes does {ann} {activity[..^1]} tomorrow?");
        }
    }
}
