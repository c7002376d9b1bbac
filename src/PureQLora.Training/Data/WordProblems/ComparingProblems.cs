namespace PureQLora.Training;

/// <summary>More, fewer, so many times as many.</summary>
internal static class ComparingProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        Noun thing = story.Thing();
        int a = story.Number(6, 60);
        WorkedSolution solution = new();
        switch (story.Number(0, 5))
        {
            case 0:
                int more = story.Number(2, 40);
                solution.Add($"{bob} has", a, more, thing.Many);
                return solution.Of(ProblemFamily.Comparing, $"{ann} has {a} {thing}. {bob} has {more} more {thing} than {ann}. How many {thing} does {bob} have?");
            case 1:
                int fewer = story.Number(2, a - 2);
                solution.Subtract($"{bob} has", a, fewer, thing.Many);
                return solution.Of(ProblemFamily.Comparing, $"{ann} has {a} {thing}. {bob} has {fewer} fewer {thing} than {ann}. How many {thing} does {bob} have?");
            case 2:
                int b = story.Number(2, a - 2);
                solution.Subtract($"{ann} has", a, b, $"more {thing.Many}");
                return solution.Of(ProblemFamily.Comparing, $"{ann} has {a} {thing} and {bob} has {b} {thing}. How many more {thing} does {ann} have than {bob}?");
            case 3:
                (int times, int each) = (story.Number(3, 9), story.Number(2, 12));
                solution.Multiply($"{ann} has", times, each, thing.Many);
                return solution.Of(ProblemFamily.Comparing, $"{bob} has {each} {thing}. {ann} has {times} times as many {thing} as {bob}. How many {thing} does {ann} have?");
            case 4:
                int less = story.Number(2, a - 2);
                solution.Subtract($"{bob} must find", a, less, $"more {thing.Many}");
                return solution.Of(ProblemFamily.Comparing, $"{ann} found {a} {thing} and {bob} found {less}. How many more {thing} must {bob} find to have as many as {ann}?");
            default:
                int above = story.Number(2, a - 2);
                solution.Subtract($"{bob} has", a, above, thing.Many);
                return solution.Of(ProblemFamily.Comparing, $"{ann} has {a} {thing}. That is {above} more than {bob} has. How many {thing} does {bob} have?");
        }
    }
}
