namespace PureQLora.Training;

/// <summary>Two operations.</summary>
internal static class TwoStepProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        Noun thing = story.Thing();
        Noun box = story.Container();
        (int groups, int each) = (story.Number(2, 9), story.Number(2, 12));
        WorkedSolution solution = new();
        switch (story.Number(0, 6))
        {
            case 0:
                int bought = story.Number(2, 40);
                solution.Add($"{ann} now has", solution.Multiply($"The {box} hold", groups, each, thing.Many), bought, thing.Many);
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} has {groups} {box} with {each} {thing} in each. {ann.CapitalShe} buys {bought} more {thing}. How many {thing} does {ann} have now?");
            case 1:
                int given = story.Number(2, (groups * each) - 1);
                int held = solution.Multiply($"The {box} hold", groups, each, thing.Many);
                solution.Subtract($"{ann} has", held, given, $"{thing.For(held - given)} left");
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} has {groups} {box} with {each} {thing} in each. {ann.CapitalShe} gives {given} {thing} to {bob}. How many {thing} does {ann} have left?");
            case 2:
                (int a, int b) = (story.Number(5, 50), story.Number(2, 40));
                int c = story.Number(2, a + b - 1);
                int sum = solution.Add($"Then {ann} has", a, b, thing.Many);
                solution.Subtract($"{ann} has", sum, c, $"{thing.For(sum - c)} left");
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} has {a} {thing} and finds {b} more. Then {ann.She} gives {c} of them to {bob}. How many {thing} does {ann} have left?");
            case 3:
                int mine = story.Number(2, Math.Max(2, (groups * each) - 2));
                solution.Divide("Each child gets", solution.Add("Together they have", mine, (groups * each) - mine, thing.Many), groups, thing.Many);
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} has {mine} {thing} and {bob} has {(groups * each) - mine}. They share them all equally among {groups} children. How many {thing} does each child get?");
            case 4:
                (int own, int more) = (story.Number(4, 45), story.Number(2, 20));
                solution.Add("Together they have", own, solution.Add($"{bob} has", own, more, thing.Many), thing.Many);
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} has {own} {thing}. {bob} has {more} more {thing} than {ann}. How many {thing} do they have together?");
            case 5:
                int lost = story.Number(2, 20);
                solution.Divide($"Each {box.One} holds", solution.Subtract($"{ann} has", (groups * each) + lost, lost, $"{thing} left"), groups, thing.Many);
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} had {(groups * each) + lost} {thing} and lost {lost} of them. {ann.CapitalShe} puts the rest equally into {groups} {box}. How many {thing} are in each {box.One}?");
            default:
                (int spoons, int days) = (story.Number(2, 9), story.Number(2, 7));
                int start = (spoons * days) + story.Number(1, 30);
                int used = solution.Multiply($"{ann} uses", days, spoons, thing.Many);
                solution.Subtract($"{ann} has", start, used, $"{thing.For(start - used)} left");
                return solution.Of(ProblemFamily.TwoSteps, $"{ann} has {start} {thing} and uses {spoons} of them every day. How many {thing} are left after {days} days?");
        }
    }
}
