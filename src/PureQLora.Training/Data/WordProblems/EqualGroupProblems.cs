namespace PureQLora.Training;

/// <summary>groups · each</summary>
internal static class EqualGroupProblems
{
    public static WordProblem Compose(Story story)
    {
        Person ann = story.Person();
        Noun thing = story.Thing();
        Noun box = story.Container();
        (int groups, int each) = (story.Number(2, 12), story.Number(2, 12));
        WorkedSolution solution = new();
        int Total(string lead) => solution.Multiply(lead, groups, each, thing.Many);
        switch (story.Number(0, 5))
        {
            case 0:
                Total($"{ann} has");
                return solution.Of(ProblemFamily.EqualGroups, $"{ann} has {groups} {box} with {each} {thing} in each {box.One}. How many {thing} does {ann} have in all?");
            case 1:
                Total($"{ann} buys");
                return solution.Of(ProblemFamily.EqualGroups, $"{ann} buys {groups} {box} of {thing}. Each {box.One} holds {each} {thing}. How many {thing} does {ann} buy?");
            case 2:
                string place = story.Pick("table", "shelf", "floor", "desk");
                Total($"On the {place} there are");
                return solution.Of(ProblemFamily.EqualGroups, $"{ann} lays {thing} on the {place} in {groups} rows. There are {each} {thing} in each row. How many {thing} are on the {place}?");
            case 3:
                string span = story.Pick("day", "week");
                Total($"{ann} collects");
                return solution.Of(ProblemFamily.EqualGroups, $"{ann} collects {each} {thing} every {span}. How many {thing} does {ann} collect in {groups} {span}s?");
            case 4:
                string guests = story.Pick("friends", "cousins", "neighbors", "classmates");
                Total($"The {guests} bring");
                return solution.Of(ProblemFamily.EqualGroups, $"{ann} has {groups} {guests}. Each of them brings {each} {thing} to a party. How many {thing} do the {guests} bring?");
            default:
                Total($"{ann} needs");
                return solution.Of(ProblemFamily.EqualGroups, $"{ann} fills {groups} {box} and puts {each} {thing} into each. How many {thing} does {ann} need?");
        }
    }
}
