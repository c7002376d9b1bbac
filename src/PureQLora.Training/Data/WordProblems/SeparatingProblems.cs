namespace PureQLora.Training;

/// <summary>a − b</summary>
internal static class SeparatingProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        Noun thing = story.Thing();
        Noun box = story.Container();
        int a = story.Number(8, 99);
        int b = story.Number(2, a - 1);
        WorkedSolution solution = new();
        int Rest(string lead, string tail = "") => solution.Subtract(lead, a, b, thing.For(a - b) + tail);
        switch (story.Number(0, 6))
        {
            case 0:
                Rest($"{ann} has", " left");
                return solution.Of(ProblemFamily.Separating, $"{ann} has {a} {thing}. {ann.CapitalShe} gives {b} of them to {bob}. How many {thing} does {ann} have left?");
            case 1:
                Rest($"The {box.One} still holds");
                return solution.Of(ProblemFamily.Separating, $"There are {a} {thing} in a {box.One}. {ann} takes {b} of them out. How many {thing} are still in the {box.One}?");
            case 2:
                Rest($"{ann} now has");
                return solution.Of(ProblemFamily.Separating, $"{ann} had {a} {thing}. {ann.CapitalShe} lost {b} of them. How many {thing} does {ann} have now?");
            case 3:
                string shop = story.Pick("shop", "stand", "store", "market stall");
                Rest($"The {shop} has", " left");
                return solution.Of(ProblemFamily.Separating, $"{ann}'s {shop} has {a} {thing}. On {story.Pick("Monday", "Friday", "Saturday")} it sells {b} of them. How many {thing} are left?");
            case 4:
                Rest($"{ann} still needs");
                return solution.Of(ProblemFamily.Separating, $"{ann} needs {a} {thing} for a party. {ann.CapitalShe} already has {b}. How many more {thing} does {ann} need?");
            case 5:
                Rest($"{ann} used");
                return solution.Of(ProblemFamily.Separating, $"{ann} had {a} {thing}. After {story.Pick("lunch", "school", "a party", "a game")} {ann.She} had {b} left. How many {thing} did {ann} use?");
            default:
                Rest($"{bob} has");
                return solution.Of(ProblemFamily.Separating, $"{ann} and {bob} have {a} {thing} together. {b} of them are {ann}'s. How many {thing} does {bob} have?");
        }
    }
}
