namespace PureQLora.Training;

/// <summary>Wages by the hour, spending, tickets, twice as many: two to four operations.</summary>
internal static class EarningProblems
{
    public static WordProblem Compose(Story story)
    {
        (Person ann, Person bob) = story.TwoPeople();
        string job = story.Pick("walking dogs", "washing cars", "mowing lawns", "babysitting", "raking leaves", "painting fences", "pulling weeds", "cleaning windows", "picking fruit", "sorting mail");
        Noun ticket = story.Pick(Story.Nouns("movie ticket", "concert ticket", "zoo ticket", "circus ticket", "museum ticket", "train ticket", "raffle ticket"));
        string treat = story.Pick("a book", "a cap", "a scarf", "a game", "a poster", "lunch", "a plant", "a kite", "a mug", "a snack");
        (int wage, int hours) = (story.Number(3, 12), story.Number(2, 9));
        string work = $"{ann} earns ${wage} an hour {job}.";
        WorkedSolution solution = new(dollars: true);
        switch (story.Number(0, 7))
        {
            case 0:
                int spent = story.Number(2, (wage * hours) - 1);
                solution.Subtract($"{ann} has", solution.Multiply($"{ann} earns", hours, wage), spent, "left");
                return solution.Of(ProblemFamily.Earning, $"{work} {ann.CapitalShe} works {hours} hours and then spends ${spent} on {treat}. How many dollars does {ann} have left?");
            case 1 or 2:
                return WorkThenTickets(story, ann, work, wage, hours, ticket, treat);
            case 3:
                (int sold, int price) = (story.Number(2, 8), story.Number(2, 5));
                int second = solution.MultiplyCount($"On Saturday {ann} sells", 2, sold, ticket.Many);
                solution.Multiply($"{ann} takes in", solution.AddCount($"In all {ann} sells", sold, second, ticket.Many), price);
                return solution.Of(ProblemFamily.Earning, $"{ann} sells {sold} {ticket} on Friday and twice as many on Saturday. Each {ticket.One} costs ${price}. How many dollars does {ann} take in?");
            case 4:
                (int saturday, int pay) = (story.Number(2, 4), story.Number(3, 9));
                int sunday = solution.MultiplyCount($"On Sunday {ann} works", 2, saturday, "hours");
                solution.Multiply($"{ann} earns", solution.AddCount($"In all {ann} works", saturday, sunday, "hours"), pay);
                return solution.Of(ProblemFamily.Earning, $"{ann} earns ${pay} an hour {job}. {ann.CapitalShe} works {saturday} hours on Saturday and twice as many hours on Sunday. How many dollars does {ann} earn?");
            case 5:
                (int low, int time) = (story.Number(2, 6), story.Number(2, 6));
                int high = solution.Multiply($"Every hour {bob} earns", 2, low);
                int anns = solution.Multiply($"{ann} earns", time, low);
                solution.Add("Together they earn", anns, solution.Multiply($"{bob} earns", time, high));
                return solution.Of(ProblemFamily.Earning, $"{ann} earns ${low} an hour {job}. {bob} earns twice as much an hour. Both work {time} hours. How many dollars do they earn together?");
            case 6:
                int needed = story.Number(2, 9);
                (int count, int each) = Factors(story, wage * needed);
                solution.DivideMoney($"{ann} must work", solution.Multiply($"The {ticket} cost", count, each), wage, "hours");
                return solution.Of(ProblemFamily.Earning, $"{work} {ann.CapitalShe} wants to buy {count} {ticket} for ${each} each. How many hours must {ann} work?");
            default:
                int had = story.Number(2, 40);
                int cost = story.Number(2, (wage * hours) + had - 1);
                int all = solution.Add($"Then {ann} has", had, solution.Multiply($"{ann} earns", hours, wage));
                solution.Subtract($"{ann} has", all, cost, "left");
                return solution.Of(ProblemFamily.Earning, $"{ann} has ${had}. {work.Replace(ann.Name, ann.CapitalShe, StringComparison.Ordinal)} {ann} works {hours} hours and then buys {treat} for ${cost}. How many dollars does {ann} have left?");
        }
    }

    private static WordProblem WorkThenTickets(Story story, Person ann, string work, int wage, int hours, Noun ticket, string treat)
    {
        int earned = wage * hours;
        int count = story.Number(2, Math.Max(2, Math.Min(6, earned / 3)));
        int price = story.Number(1, Math.Max(1, Math.Min(9, (earned - 2) / count)));
        bool withTreat = earned - (count * price) > 3 && story.Number(0, 1) == 0;
        WorkedSolution solution = new(dollars: true);
        solution.Multiply($"{ann} earns", hours, wage);
        int tickets = solution.Multiply($"The {ticket} cost", count, price);
        int left = solution.Subtract($"{ann} {(withTreat ? "then" : "now")} has", earned, tickets, "left");
        string question = $"{work} {ann.CapitalShe} works {hours} hours and buys {count} {ticket} for ${price} each";
        if (withTreat)
        {
            int extra = story.Number(2, left - 1);
            solution.Subtract($"{ann} has", left, extra, "left");
            question += $" and {treat} for ${extra}";
        }

        return solution.Of(ProblemFamily.Earning, $"{question}. How many dollars does {ann} have left?");
    }

    /// <summary>Two factors of a product that has a divisor from 2 to 12.</summary>
    private static (int Count, int Each) Factors(Story story, int product)
    {
        int[] divisors = [.. Enumerable.Range(2, product - 2).Where(divisor => product % divisor == 0 && divisor <= 12)];
        int count = story.Pick(divisors);
        return (count, product / count);
    }
}
