namespace PureQLora.Training;

/// <summary>Three or four operations.</summary>
internal static class ThreeStepProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        Noun thing = story.Thing();
        Noun box = story.Container();
        (int groups, int each) = (story.Number(2, 9), story.Number(2, 9));
        WorkedSolution solution = new();
        switch (story.Number(0, 4))
        {
            case 0:
                Noun other = box.One == "bag" ? new("basket", "baskets") : new("bag", "bags");
                (int count, int size) = (story.Number(2, 6), story.Number(2, 9));
                int first = solution.Multiply($"The {box} hold", groups, each, thing.Many);
                solution.Add($"{ann} has", first, solution.Multiply($"The {other} hold", count, size, thing.Many), thing.Many);
                return solution.Of(ProblemFamily.ThreeSteps, $"{ann} has {groups} {box} with {each} {thing} in each and {count} {other} with {size} {thing} in each. How many {thing} does {ann} have in all?");
            case 1:
                Person cleo = story.PersonBesides(ann, bob);
                (int own, int more) = (story.Number(4, 30), story.Number(3, 20));
                int fewer = story.Number(2, own + more - 2);
                int bobs = solution.Add($"{bob} has", own, more, thing.Many);
                int cleos = solution.Subtract($"{cleo} has", bobs, fewer, thing.Many);
                solution.Add("All three have", solution.Add($"{ann} and {bob} have", own, bobs, thing.Many), cleos, thing.Many);
                return solution.Of(ProblemFamily.ThreeSteps, $"{ann} has {own} {thing}. {bob} has {more} more than {ann}, and {cleo} has {fewer} fewer than {bob}. How many {thing} do the three have together?");
            case 2:
                (int friends, int share) = (story.Number(2, 8), story.Number(1, 6));
                int left = friends * share;
                int packs = story.Number(2, 9);
                int inPack = (left / packs) + story.Number(2, 5);
                int given = (packs * inPack) - left;
                int bought = solution.Multiply($"{ann} buys", packs, inPack, thing.Many);
                solution.Divide("Each friend gets", solution.Subtract($"{ann} has", bought, given, $"{thing} left"), friends, thing.For(share));
                return solution.Of(ProblemFamily.ThreeSteps, $"{ann} buys {packs} packs of {inPack} {thing}. {ann.CapitalShe} gives {given} {thing} to {bob} and shares the rest equally among {friends} friends. How many {thing} does each friend get?");
            case 3:
                int lost = story.Number(2, (groups * each) - 1);
                int found = story.Number(2, 20);
                int collected = solution.Multiply($"{ann} collects", groups, each, thing.Many);
                int kept = solution.Subtract($"Then {ann.She} has", collected, lost, thing.For(collected - lost));
                solution.Add($"In the end {ann} has", kept, found, thing.Many);
                return solution.Of(ProblemFamily.ThreeSteps, $"{ann} collects {each} {thing} a day for {groups} days. Then {ann.She} loses {lost} of them and finds {found} others. How many {thing} does {ann} have in the end?");
            default:
                (int a, int b) = (story.Number(5, 40), story.Number(5, 40));
                int perBox = story.Number(2, 9);
                int rest = perBox * story.Number(2, Math.Max(2, (a + b - 2) / perBox));
                int eaten = a + b - rest;
                if (eaten < 2)
                {
                    return Compose(story);
                }

                int sum = solution.Add("Together they have", a, b, thing.Many);
                solution.Divide("They need", solution.Subtract("After that they have", sum, eaten, thing.Many), perBox, box.For(rest / perBox));
                return solution.Of(ProblemFamily.ThreeSteps, $"{ann} has {a} {thing} and {bob} has {b} {thing}. They give {eaten} of them away and pack the rest into {box} of {perBox}. How many {box} do they need?");
        }
    }
}
