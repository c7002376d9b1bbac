namespace PureQLora.Training;

/// <summary>Dollars put by.</summary>
internal static class SavingProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        string goal = story.Pick("bike", "camera", "guitar", "lamp", "coat", "tent", "skateboard", "backpack", "drum", "telescope");
        string span = story.Pick("week", "month", "day");
        (int each, int times) = (story.Number(2, 12), story.Number(2, 12));
        WorkedSolution solution = new(dollars: true);
        switch (story.Number(0, 4))
        {
            case 0:
                solution.Multiply($"{ann} saves", times, each);
                return solution.Of(ProblemFamily.Saving, $"{ann} saves ${each} every {span} for a {goal}. How many dollars does {ann} save in {times} {span}s?");
            case 1:
                (int a, int b) = (story.Number(2, 60), story.Number(2, 40));
                solution.Add($"{ann} now has", a, b);
                return solution.Of(ProblemFamily.Saving, $"{ann} has ${a} in {ann.HerOwn} piggy bank. {ann.CapitalShe} puts in ${b} more. How many dollars does {ann} have now?");
            case 2:
                int price = story.Number(20, 99);
                int saved = story.Number(2, price - 2);
                solution.Subtract($"{ann} still needs", price, saved);
                return solution.Of(ProblemFamily.Saving, $"{ann} wants a {goal} that costs ${price}. {ann.CapitalShe} has saved ${saved}. How many more dollars does {ann} need?");
            case 3:
                solution.Divide($"Every {span} {ann} saves", each * times, times);
                return solution.Of(ProblemFamily.Saving, $"{ann} saves the same amount every {span}. After {times} {span}s {ann.She} has ${each * times}. How many dollars does {ann} save every {span}?");
            default:
                int mine = story.Number(10, 90);
                int less = story.Number(2, mine - 2);
                solution.Subtract($"{bob} has saved", mine, less);
                return solution.Of(ProblemFamily.Saving, $"{ann} has saved ${mine} for a {goal}. {bob} has saved ${less} less than {ann}. How many dollars has {bob} saved?");
        }
    }
}
