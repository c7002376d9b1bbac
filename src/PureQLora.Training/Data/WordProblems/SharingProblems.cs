namespace PureQLora.Training;

/// <summary>total / parts, without remainder</summary>
internal static class SharingProblems
{
    public static WordProblem Compose(Story story)
    {
        Person ann = story.Person();
        Noun thing = story.Thing();
        Noun box = story.Container();
        (int parts, int each) = (story.Number(2, 12), story.Number(2, 12));
        int total = parts * each;
        WorkedSolution solution = new();
        switch (story.Number(0, 4))
        {
            case 0:
                string guests = story.Pick("friend", "cousin", "neighbor", "classmate");
                solution.Divide($"Each {guests} gets", total, parts, thing.Many);
                return solution.Of(ProblemFamily.Sharing, $"{ann} shares {total} {thing} equally among {parts} {guests}s. How many {thing} does each {guests} get?");
            case 1:
                solution.Divide($"{ann} needs", total, each, box.Many);
                return solution.Of(ProblemFamily.Sharing, $"{ann} packs {total} {thing} into {box}. Each {box.One} holds {each} {thing}. How many {box} does {ann} need?");
            case 2:
                solution.Divide($"Each {box.One} holds", total, parts, thing.Many);
                return solution.Of(ProblemFamily.Sharing, $"{ann} has {total} {thing} and {parts} {box}. {ann.CapitalShe} puts the same number of {thing} into each {box.One}. How many {thing} are in each {box.One}?");
            case 3:
                solution.Divide("Each row has", total, parts, thing.Many);
                return solution.Of(ProblemFamily.Sharing, $"{ann} lays {total} {thing} in {parts} equal rows. How many {thing} are in each row?");
            default:
                solution.Divide($"The {thing} last for", total, each, "days");
                return solution.Of(ProblemFamily.Sharing, $"{ann} has {total} {thing} and uses {each} of them every day. For how many days do the {thing} last?");
        }
    }
}
