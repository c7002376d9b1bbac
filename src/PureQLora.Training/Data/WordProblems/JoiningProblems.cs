namespace PureQLora.Training;

/// <summary>a + b</summary>
internal static class JoiningProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        Noun thing = story.Thing();
        Noun box = story.Container();
        (int a, int b) = (story.Number(2, 60), story.Number(2, 40));
        WorkedSolution solution = new();
        int Total(string lead) => solution.Add(lead, a, b, thing.Many);
        switch (story.Number(0, 6))
        {
            case 0:
                Total($"{ann} now has");
                return solution.Of(ProblemFamily.Joining, $"{ann} has {a} {thing}. {bob} gives {ann.Her} {b} more. How many {thing} does {ann} have now?");
            case 1:
                Total($"{ann} found");
                return solution.Of(ProblemFamily.Joining, $"{ann} found {a} {thing} in the morning and {b} {thing} in the afternoon. How many {thing} did {ann} find in all?");
            case 2:
                Total($"The {box.One} now holds");
                return solution.Of(ProblemFamily.Joining, $"There are {a} {thing} in a {box.One}. {ann} puts {b} more into it. How many {thing} are in the {box.One} now?");
            case 3:
                Total("Together they have");
                return solution.Of(ProblemFamily.Joining, $"{ann} has {a} {thing} and {bob} has {b} {thing}. How many {thing} do they have together?");
            case 4:
                (string first, string second) = story.TwoOf("Monday", "Tuesday", "Wednesday", "Thursday", "Friday");
                Total($"{ann} bought");
                return solution.Of(ProblemFamily.Joining, $"{ann} bought {a} {thing} on {first} and {b} {thing} on {second}. How many {thing} did {ann} buy in all?");
            case 5:
                Total($"{ann} has");
                return solution.Of(ProblemFamily.Joining, $"{ann} has {a} small {thing} and {b} large {thing}. How many {thing} does {ann} have in all?");
            default:
                Total("At first there were");
                return solution.Of(ProblemFamily.Joining, $"{ann} took {a} {thing} out of a {box.One}. Then {b} {thing} were left in it. How many {thing} were in the {box.One} at first?");
        }
    }
}
